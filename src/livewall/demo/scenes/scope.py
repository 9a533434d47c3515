"""A green bench: an oscilloscope draws slowly turning figures, a sequencer's lamps run along."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from livewall.demo.scenes.canvas import (
    Paint,
    Pen,
    Point,
    backdrop,
    clock,
    halo,
    label,
    person,
    put,
    shine,
)

SCREEN = (66, 66, 300, 214)
STEPS_PER_SECOND = 6.0
FIGURES = ((1, 2), (3, 2), (3, 4), (5, 4), (2, 3))
FIGURE_SECONDS = 12.0
FADE = 0.72

Numbers = NDArray[np.float64]


def scope() -> Paint:
    """Build the scene."""
    bench = _bench()
    tinkerer = person((138, 92, 62), (30, 34, 28), (104, 34, 38))
    left, top, width, height = SCREEN
    phosphor = Image.new("L", (width, height))
    lamp, idle = halo(12, (90, 255, 140)), halo(8, (14, 60, 30))
    phase = np.linspace(0, 2 * np.pi, 240)
    tint = _tint()

    def paint(at: float) -> Image.Image:
        nonlocal phosphor
        picture = bench.copy()
        put(picture, tinkerer, 398, 153 + 2 * math.sin(at * 0.7))
        phosphor = phosphor.point([int(level * FADE) for level in range(256)])
        beam = ImageDraw.Draw(phosphor)
        beam.line(_figure(at, phase, width, height), 255, 2, joint="curve")
        glow = phosphor.filter(ImageFilter.BoxBlur(3))
        for layer in (glow, phosphor):
            shine(picture, Image.merge("RGB", [layer.point(curve) for curve in tint]), left, top)
        step = int(at * STEPS_PER_SECOND) % 16
        for number in range(16):
            x, y = 66 + 19 * number, 306
            shine(picture, idle, x - 2, y + 2)
            if number == step or (number * 5 + int(at / 8)) % 7 < 2:
                shine(picture, lamp, x - 6, y - 2)
        across, up = FIGURES[int(at / FIGURE_SECONDS) % len(FIGURES)]
        put(picture, label(f"{across}:{up}", 16, (150, 255, 190)), left + 8, top + 4)
        clock(picture, at)
        return picture

    return paint


def _figure(at: float, phase: Numbers, width: int, height: int) -> list[Point]:
    across, up = FIGURES[int(at / FIGURE_SECONDS) % len(FIGURES)]
    swell = 0.86 + 0.1 * math.sin(at * 2.3)
    x = width / 2 + width * 0.43 * swell * np.sin(across * phase + at * 0.6)
    y = height / 2 + height * 0.43 * np.sin(up * phase + 0.2 * np.sin(at * 1.9))
    points: list[Point] = np.stack([x, y], axis=1).tolist()
    return points


def _tint() -> list[list[int]]:
    """Per channel, how bright the phosphor's light is for each level of its charge."""
    return [[int(level * share) for level in range(256)] for share in (0.28, 0.86, 0.45)]


def _bench() -> Image.Image:
    picture = backdrop(
        (9, 20, 17),
        (210, 150, 230, 170, (14, 84, 52)),
        (520, 90, 170, 140, (30, 96, 70)),
        (600, 340, 140, 90, (60, 26, 20)),
    )
    pen = Pen()
    left, top, width, height = SCREEN
    pen.box(left - 26, top - 26, width + 52, height + 52, (30, 42, 40, 255), 16)
    pen.box(left - 8, top - 8, width + 16, height + 16, (10, 18, 15, 255), 14)
    pen.box(left, top, width, height, (5, 22, 15, 255), 8)
    for column in range(1, 8):
        pen.box(left + width * column / 8, top, 1, height, (60, 160, 110, 40))
    for row in range(1, 6):
        pen.box(left, top + height * row / 6, width, 1, (60, 160, 110, 40))
    pen.box(430, 74, 170, 62, (24, 36, 34, 255), 10)
    for knob in range(4):
        x = 454 + 41 * knob
        pen.oval(x, 104, 14, 14, (62, 80, 74, 255))
        pen.line(
            [(x, 104), (x + 9 * math.cos(knob * 1.4), 104 - 9 * abs(math.sin(knob * 1.4)))],
            3,
            (190, 230, 206, 255),
        )
    for number, color in enumerate([(214, 120, 60), (80, 160, 190), (200, 180, 80)]):
        sag = [
            (446 + 50 * number + 26 * t, 136 + 110 * t * (1.5 - t))
            for t in (0, 0.2, 0.4, 0.6, 0.8, 1.0)
        ]
        pen.line(sag, 4, (*color, 210))
    pen.box(44, 298, 340, 40, (22, 32, 30, 255), 10)
    put(picture, pen.done())
    return picture
