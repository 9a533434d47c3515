"""A blue dusk from a night train: hills pass at their own pace, wires rise and fall."""

import math
from typing import cast

import numpy as np
from PIL import Image, ImageDraw

from livewall.demo.scenes.canvas import (
    WIDTH,
    Color,
    Paint,
    Pen,
    backdrop,
    clock,
    halo,
    person,
    put,
    shine,
)

STRIP = 1280
LAYERS: tuple[tuple[float, int, int, Color], ...] = (
    (9, 196, 34, (44, 72, 92)),
    (26, 222, 28, (30, 54, 66)),
    (70, 250, 20, (17, 36, 42)),
)
POLE_GAP = 300
POLE_SPEED = 210


def train() -> Paint:
    """Build the scene."""
    sky = _sky()
    strips = [
        _hills(base, swing, color, seed) for seed, (_, base, swing, color) in enumerate(LAYERS)
    ]
    frame, traveller = _frame(), person((206, 150, 112), (74, 46, 28), (46, 66, 82), style="long")
    cabin = halo(130, (64, 36, 10), 1.5)
    village = halo(5, (220, 160, 70))

    def paint(at: float) -> Image.Image:
        picture = sky.copy()
        for (speed, *_), strip in zip(LAYERS, strips, strict=True):
            offset = at * speed % STRIP
            put(picture, strip, -offset, 340 - strip.height)
            put(picture, strip, STRIP - offset, 340 - strip.height)
        for home in range(14):
            x = (home * 97 + (home % 3) * 31 - at * 26) % STRIP
            shine(picture, village, x, 232 + (home * 13) % 22)
        _wires(picture, at)
        jolt = 1.2 * math.sin(at * 9) * (math.sin(at * 1.7) > 0.4)
        put(picture, frame)
        put(picture, traveller, 14, 152 + jolt)
        shine(picture, cabin, 452, -80)
        clock(picture, at)
        return picture

    return paint


def _wires(picture: Image.Image, at: float) -> None:
    draw = ImageDraw.Draw(picture)
    offset = at * POLE_SPEED % POLE_GAP
    for pole in range(-1, 4):
        x = pole * POLE_GAP + POLE_GAP - offset
        draw.rectangle((x, 96, x + 6, 300), (12, 20, 26))
        draw.rectangle((x - 16, 108, x + 22, 112), (12, 20, 26))
        for height in (108, 128):
            sag = [
                (x + 3 - POLE_GAP * part / 10, height + 26 * math.sin(math.pi * part / 10))
                for part in range(11)
            ]
            draw.line(sag, (12, 20, 26), 2)


def _sky() -> Image.Image:
    picture = backdrop(
        (16, 28, 44),
        (360, 220, 420, 80, (120, 78, 58)),
        (320, 60, 420, 170, (34, 70, 96)),
    )
    red, green, blue = cast("Color", picture.getpixel((196, 74)))
    dusk: Color = (red, green, blue)
    pen = Pen()
    for star in range(46):
        x, y = (star * 137) % 640, (star * 71) % 120
        pen.oval(x, y, 0.9, 0.9, (220, 236, 255, 70 + star * 3))
    pen.oval(196, 74, 17, 17, (238, 232, 210, 255))
    pen.oval(204, 70, 15, 15, dusk)
    put(picture, pen.done())
    return picture


def _hills(base: int, swing: int, color: Color, seed: int) -> Image.Image:
    """A strip twice as wide as the picture that continues into itself; its top is at y = 150."""
    waves = np.random.default_rng(seed).uniform(0, math.tau, 6).tolist()
    pen = Pen(STRIP, 190)
    ridge: list[tuple[float, float]] = []
    for x in range(0, STRIP + 1, 8):
        turn = x / STRIP * math.tau
        height = sum(
            math.sin(turn * (n + 2) * (n // 2 + 1) + wave) / (n + 1) for n, wave in enumerate(waves)
        )
        ridge.append((x, base - 150 - swing * height))
    pen.shape([(0, 190), *ridge, (STRIP, 190)], (*color, 255))
    if seed == 2:
        for tree in range(34):
            x, y = ridge[(tree * 37) % len(ridge)]
            tall = 18 + (tree * 7) % 20
            pen.shape([(x - 8, y + 4), (x, y - tall), (x + 8, y + 4)], (*color, 255))
    # Empty sky above the ridge would cost time in every picture.
    layer = pen.done()
    box = layer.getbbox() or (0, 0, STRIP, 190)
    return layer.crop((0, box[1], STRIP, 190))


def _frame() -> Image.Image:
    wall = (38, 26, 24, 255)
    pen = Pen()
    pen.box(0, 0, WIDTH, 20, wall)
    pen.box(0, 296, WIDTH, 64, wall)
    pen.box(0, 0, 24, 360, wall)
    pen.box(WIDTH - 24, 0, 24, 360, wall)
    pen.box(0, 296, WIDTH, 3, (196, 132, 70, 150))
    pen.box(430, 288, 150, 10, (86, 54, 36, 255), 4)
    pen.box(470, 254, 32, 34, (210, 206, 196, 255), 5)
    pen.ring(504, 270, 8, 3, (210, 206, 196, 255))
    pen.shape([(524, 288), (572, 288), (566, 280), (530, 280)], (150, 60, 52, 255))
    for fold in range(3):
        pen.box(584 + 11 * fold, 20, 10, 276, (92 - 16 * fold, 40, 38, 255))
    return pen.done()
