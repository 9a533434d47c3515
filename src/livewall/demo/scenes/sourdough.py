"""A blue kitchen: dough climbs in its jar, bubbles break, a loaf glows in the oven."""

import math
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from livewall.demo.scenes.canvas import (
    Paint,
    Pen,
    backdrop,
    clock,
    halo,
    label,
    person,
    put,
    shine,
)

RISE_SECONDS = 240
JAR = (96, 118, 196, 318)

Numbers = NDArray[np.float64]


def sourdough() -> Paint:
    """Build the scene."""
    kitchen = _kitchen()
    baker = person((150, 92, 58), (24, 20, 24), (196, 190, 178))
    glass = _glass()
    heat, ember = halo(120, (92, 40, 8), 1.6), halo(26, (60, 24, 4))
    bubbles = np.random.default_rng(4).uniform(0, 1, (26, 3))

    def paint(at: float) -> Image.Image:
        picture = kitchen.copy()
        shine(picture, heat, 402 + 3 * math.sin(at * 2.1), 150 + 2 * math.sin(at * 3.7))
        for number in range(6):
            shine(picture, ember, 432 + 26 * number, 262 + 4 * math.sin(at * 3 + number * 2))
        put(picture, baker, 222, 153 + 2 * math.sin(at * 0.9))
        _dough(picture, at, bubbles)
        put(picture, glass)
        left = int(45 * 60 - at % (45 * 60))
        put(picture, label(time.strftime("%M:%S", time.gmtime(left)), 20, (255, 150, 70)), 492, 102)
        clock(picture, at)
        return picture

    return paint


def _dough(picture: Image.Image, at: float, bubbles: Numbers) -> None:
    rise = (at % RISE_SECONDS) / RISE_SECONDS
    left, top, right, bottom = JAR
    surface = bottom - 70 - 96 * math.sin(rise * math.pi / 2)
    draw = ImageDraw.Draw(picture)
    dome = [
        (
            left + 4 + (right - left - 8) * i / 16,
            surface - 7 * math.sin(math.pi * i / 16) + math.sin(at * 1.7 + i),
        )
        for i in range(17)
    ]
    draw.polygon([(left + 4, bottom - 5), *dome, (right - 4, bottom - 5)], (214, 196, 160))
    draw.line(dome, (244, 232, 204), 3)
    for x, start, speed in bubbles.tolist():
        life = (at * (0.05 + speed * 0.1) + start) % 1
        px = left + 14 + (right - left - 28) * x
        py = bottom - 12 - (bottom - surface - 22) * life
        size = 2 + 5 * life * speed
        draw.ellipse((px - size, py - size, px + size, py + size), (182, 160, 122))
    mark = top + 118
    draw.line((left - 1, mark, right + 1, mark), (216, 84, 66), 4)


def _kitchen() -> Image.Image:
    picture = backdrop(
        (11, 16, 30),
        (210, 70, 260, 150, (34, 84, 130)),
        (520, 240, 150, 120, (66, 30, 8)),
        (120, 330, 240, 90, (16, 34, 66)),
    )
    pen = Pen()
    for row in range(3):
        for column in range(9):
            pen.box(8 + 70 * column + 35 * (row % 2), 20 + 32 * row, 66, 28, (70, 120, 170, 16), 3)
    pen.box(28, 60, 190, 6, (44, 62, 88, 255))
    for number, tall in enumerate([34, 46, 28, 40]):
        shade = (60 + 14 * number, 96, 126 - 8 * number, 255)
        pen.box(40 + 42 * number, 60 - tall, 30, tall, shade, 7)
    pen.box(400, 84, 224, 250, (26, 30, 42, 255), 12)
    pen.box(412, 96, 200, 34, (14, 17, 26, 255), 6)
    for knob in range(2):
        pen.oval(436 + 28 * knob, 113, 9, 9, (88, 96, 112, 255))
    pen.box(416, 146, 192, 168, (46, 22, 10, 255), 12)
    pen.box(424, 154, 176, 152, (92, 42, 14, 255), 9)
    pen.oval(512, 268, 70, 37, (196, 122, 56, 255))
    pen.box(430, 268, 164, 38, (92, 42, 14, 255))
    pen.shape([(452, 268), (572, 268), (566, 276), (458, 276)], (60, 30, 14, 255))
    for slash in range(3):
        x = 480 + 24 * slash
        pen.line([(x, 262), (x + 18, 240)], 4, (236, 186, 122, 255))
    for bar in range(3):
        pen.box(424, 272 + 12 * bar, 176, 2, (34, 18, 10, 255))
    pen.box(0, 318, 400, 42, (38, 46, 62, 255))
    pen.box(0, 318, 400, 2, (128, 176, 214, 110))
    put(picture, pen.done())
    return picture


def _glass() -> Image.Image:
    left, top, right, bottom = JAR
    pen = Pen()
    pen.box(left - 4, top, right - left + 8, bottom - top + 2, (170, 214, 240, 34), 14)
    pen.box(left + 5, top + 12, 7, bottom - top - 34, (236, 248, 255, 90), 4)
    pen.box(left - 7, top - 14, right - left + 14, 18, (206, 186, 150, 255), 6)
    pen.ring((left + right) / 2, top - 5, 4, 2, (120, 96, 70, 255))
    return pen.done()
