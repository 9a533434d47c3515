"""A warm room at night: two tape reels turn, somebody nods to the beat, the tea steams."""

import math

from PIL import Image

from livewall.demo.scenes.canvas import (
    Paint,
    Pen,
    backdrop,
    clock,
    halo,
    person,
    put,
    shine,
)

BEATS_PER_SECOND = 87 / 60
REEL_STEPS = 48


def lofi() -> Paint:
    """Build the scene."""
    room = _room()
    listener = _with_headphones()
    reels = [_reel(step * math.tau / 3 / REEL_STEPS) for step in range(REEL_STEPS)]
    windows = [(26 + 17 * i, 50 + 21 * j) for i in range(7) for j in range(5)]
    window, steam = halo(9, (150, 96, 30)), halo(15, (26, 22, 18), 1.2)
    bar, lamp = halo(13, (160, 84, 20)), halo(150, (66, 30, 8), 1.5)

    def paint(at: float) -> Image.Image:
        picture = room.copy()
        for number, (x, y) in enumerate(windows):
            if math.sin(number * 12.9 + at / (5 + number % 7)) > 0.25:
                shine(picture, window, x, y)
        glow = 1.5 * math.sin(at * 1.3)
        shine(picture, lamp, 395, -60 + glow)
        turn = int(at * 14) % REEL_STEPS
        put(picture, reels[turn], 440, 188)
        put(picture, reels[-turn], 530, 188)
        beat = at * BEATS_PER_SECOND * math.pi
        for band in range(7):
            height = abs(math.sin(beat + band * 1.7) * math.sin(at * (1.1 + band / 5)))
            for step in range(int(height * 5) + 1):
                shine(picture, bar, 432 + 26 * band, 276 - 9 * step)
        put(picture, listener, 190, 151 + 4 * abs(math.sin(beat)))
        for puff in range(5):
            rise = (at / 3 + puff / 5) % 1
            shine(picture, steam, 118 + 7 * math.sin(at + puff * 2), 262 - 74 * rise)
        clock(picture, at)
        return picture

    return paint


def _room() -> Image.Image:
    picture = backdrop(
        (22, 13, 12),
        (545, 80, 230, 170, (170, 84, 30)),
        (330, 330, 330, 120, (62, 26, 12)),
        (90, 100, 150, 120, (18, 26, 62)),
    )
    pen = Pen()
    pen.box(18, 34, 146, 132, (10, 14, 34, 210), 4)
    for i, tall in enumerate([70, 44, 92, 58, 80, 38]):
        pen.box(22 + 23 * i, 164 - tall, 21, tall, (20, 22, 46, 255))
    pen.box(88, 34, 4, 132, (58, 34, 22, 255))
    pen.box(18, 96, 146, 4, (58, 34, 22, 255))
    pen.box(424, 172, 200, 134, (52, 28, 18, 255), 10)
    pen.box(430, 178, 188, 122, (34, 19, 14, 255), 8)
    pen.line([(545, 92), (575, 132), (566, 172)], 5, (96, 62, 34, 255))
    pen.shape([(505, 92), (560, 60), (582, 96)], (240, 170, 82, 255))
    for leaf in range(9):
        lean = (leaf - 4) / 4
        pen.line(
            [(385, 300), (385 + 24 * lean, 240), (385 + 62 * lean, 216 + 44 * abs(lean))],
            5,
            (38, 62, 32, 255),
        )
    pen.box(362, 288, 46, 40, (122, 62, 36, 255), 8)
    pen.box(0, 318, 640, 42, (44, 24, 16, 255))
    pen.box(0, 318, 640, 2, (150, 82, 40, 120))
    pen.box(106, 282, 40, 38, (190, 150, 116, 255), 6)
    pen.ring(150, 298, 10, 4, (190, 150, 116, 255))
    put(picture, pen.done())
    return picture


def _with_headphones() -> Image.Image:
    sitter = person((172, 108, 72), (38, 22, 20), (66, 52, 92), style="bun")
    pen = Pen(230, 210)
    pen.arc((68, 22, 162, 122), 190, 350, 7, (28, 26, 30, 255))
    pen.box(62, 66, 18, 38, (46, 42, 50, 255), 8)
    pen.box(150, 66, 18, 38, (34, 30, 36, 255), 8)
    put(sitter, pen.done())
    return sitter


def _reel(turned: float) -> Image.Image:
    pen = Pen(84, 84)
    pen.oval(42, 42, 40, 40, (92, 52, 30))
    pen.oval(42, 42, 37, 37, (30, 17, 12))
    pen.oval(42, 42, 30, 30, (70, 38, 22))
    for spoke in range(3):
        angle = turned + spoke * math.tau / 3
        x, y = 42 + 19 * math.cos(angle), 42 + 19 * math.sin(angle)
        pen.oval(x, y, 9, 9, (26, 15, 12))
    pen.oval(42, 42, 7, 7, (214, 150, 92))
    return pen.done()
