"""A teal tank: fish wander, weed sways, bubbles climb through the light."""

import math

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
    put,
    shine,
)

COLORS: tuple[Color, ...] = ((240, 140, 60), (236, 200, 90), (110, 190, 210), (214, 96, 110))
BEND_STEPS = 8


def aquarium() -> Paint:
    """Build the scene."""
    tank = _tank()
    shoal = [_swimmer(color, 20 + 7 * (number % 3)) for number, color in enumerate(COLORS * 2)]
    ray = _ray()
    bubble = halo(6, (70, 130, 128), 0.9)
    bubbles = np.random.default_rng(5).uniform(0, 1, (22, 3)).tolist()

    def paint(at: float) -> Image.Image:
        picture = tank.copy()
        for number in range(4):
            shine(picture, ray, 30 + 150 * number + 34 * math.sin(at / 5 + number * 1.9), 0)
        _weed(picture, at)
        for number, swimmer in enumerate(shoal):
            _swim(picture, swimmer, number, at)
        for x, start, speed in bubbles:
            rise = (at * (0.06 + 0.12 * speed) + start) % 1
            column = 90 + 210 * int(x * 3) + 12 * x
            sway = 7 * math.sin(at * 2 + start * 9)
            shine(picture, bubble, column + sway, 318 - 300 * rise)
        clock(picture, at)
        return picture

    return paint


def _swim(picture: Image.Image, swimmer: list[list[Image.Image]], number: int, at: float) -> None:
    lap = 26 + 7 * number
    along = (at / lap + number * 0.37) % 2
    left = along >= 1
    x = (2 - along if left else along) * (WIDTH + 160) - 120
    y = 62 + (number * 83) % 196 + 14 * math.sin(at * 0.8 + number * 2)
    bend = round((math.sin(at * 7 + number) + 1) / 2 * (BEND_STEPS - 1))
    put(picture, swimmer[left][bend], x, y)


def _weed(picture: Image.Image, at: float) -> None:
    draw = ImageDraw.Draw(picture)
    for blade in range(12):
        root = 26 + 54 * blade + 9 * math.sin(blade * 5)
        tall = 70 + (blade * 47) % 90
        shade = (24 + 4 * (blade % 3), 78 + 12 * (blade % 4), 52)
        sides: list[tuple[float, float]] = []
        for side in (-1, 1):
            joints = range(9) if side < 0 else range(8, -1, -1)
            for joint in joints:
                up = joint / 8
                sway = 20 * up * up * math.sin(at * 0.9 + blade + up * 2)
                sides.append((root + sway + side * 6 * (1 - up), 330 - tall * up))
        draw.polygon(sides, shade)


def _swimmer(color: Color, size: int) -> list[list[Image.Image]]:
    """A fish to the right and to the left, each with its tail in several places."""
    right = [_fish(color, size, step / (BEND_STEPS - 1) * 2 - 1) for step in range(BEND_STEPS)]
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    return [right, [layer.transpose(flip) for layer in right]]


def _fish(color: Color, size: int, bend: float) -> Image.Image:
    pen = Pen(4 * size, 2 * size + 8)
    middle = size + 4
    red, green, blue = color
    dark = (red * 2 // 3, green * 2 // 3, blue * 2 // 3)
    root = 1.35 * size
    tip = 0.35 * size * bend
    reach = size * 0.7
    tail = [(size * 0.3, middle - reach + tip), (size * 0.55, middle + tip * 0.5)]
    pen.shape([(root, middle), *tail, (size * 0.3, middle + reach + tip)], dark)
    fin = [(size * 1.7, middle - size * 0.5), (size * 2.2, middle - size)]
    pen.shape([*fin, (size * 2.7, middle - size * 0.45)], dark)
    pen.oval(size * 2.3, middle, size * 1.15, size * 0.62, color)
    pen.oval(size * 2.2, middle + size * 0.24, size * 0.8, size * 0.3, (255, 240, 220, 60))
    for stripe in (1.9, 2.4):
        pen.box(
            size * stripe, middle - size * 0.5, size * 0.16, size * 0.95, (255, 244, 230, 110), 2
        )
    pen.oval(size * 3.05, middle - size * 0.12, size * 0.13, size * 0.13, (16, 18, 24))
    return pen.done()


def _ray() -> Image.Image:
    y, x = np.mgrid[0:300, 0:120].astype(np.float64)
    middle = 40 + 40 * y / 300
    reach = np.exp(-(((x - middle) / (9 + 20 * y / 300)) ** 2)) * (1 - y / 300)
    return Image.fromarray((reach[..., None] * np.array((20, 46, 42))).astype(np.uint8))


def _tank() -> Image.Image:
    picture = backdrop(
        (5, 24, 30),
        (320, 20, 330, 150, (26, 110, 108)),
        (110, 250, 180, 120, (10, 44, 52)),
        (560, 300, 180, 110, (24, 40, 20)),
    )
    pen = Pen()
    sand = [(x, 332 + 7 * math.sin(x / 53) + 4 * math.sin(x / 21)) for x in range(0, 641, 16)]
    pen.shape([(0, 360), *sand, (640, 360)], (92, 84, 62, 255))
    for x, y, rx, ry in ((470, 330, 66, 40), (530, 338, 44, 26), (150, 338, 52, 26)):
        pen.oval(x, y, rx, ry, (38, 52, 54, 255))
        pen.oval(x - rx * 0.2, y - ry * 0.3, rx * 0.6, ry * 0.5, (58, 76, 76, 120))
    pen.shape([(452, 336), (460, 290), (488, 284), (498, 336)], (12, 22, 26, 255))
    pen.box(0, 0, WIDTH, 12, (14, 20, 24, 255))
    pen.box(0, 12, WIDTH, 2, (150, 220, 214, 130))
    put(picture, pen.done())
    return picture
