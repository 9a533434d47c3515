"""A pink night behind wet glass: lights drift, drops run, a cat's tail keeps time."""

import math

import numpy as np
from PIL import Image

from livewall.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Color,
    Paint,
    Pen,
    backdrop,
    clock,
    put,
    shine,
)

CAR_SECONDS = 16.0
TAIL_STEPS = 24
COLORS: tuple[Color, ...] = ((150, 40, 86), (168, 88, 40), (96, 46, 128), (150, 60, 60))


def rain() -> Paint:
    """Build the scene."""
    street, sill = _street(), _sill()
    cat = _cat()
    tails = [_tail(step / TAIL_STEPS) for step in range(TAIL_STEPS)]
    lamps = [_disc(20 + 5 * size, color) for size in range(3) for color in COLORS]
    fronts, backs = _disc(17, (150, 128, 92)), _disc(15, (150, 20, 26))
    drops = np.random.default_rng(11).uniform(0, 1, (34, 4)).tolist()
    drop_layers = [_drop(3 + size) for size in range(4)]

    def paint(at: float) -> Image.Image:
        picture = street.copy()
        for number, lamp in enumerate(lamps):
            x = (number * 173 + 11 * math.sin(at / 6 + number)) % (WIDTH + 60) - 50
            shine(picture, lamp, x, 40 + (number * 67) % 130 + 4 * math.sin(at / 4 + number))
        for car in range(3):
            along = (at / CAR_SECONDS + car / 3) % 1
            for gap in (0, 40):
                shine(picture, fronts, WIDTH - along * (WIDTH + 160) + gap, 212 + 8 * (car % 2))
                shine(picture, backs, along * (WIDTH + 160) - 120 + gap, 236)
        for x, start, speed, size in drops:
            fall = (at * (0.02 + 0.09 * speed) + start) % 1
            stick = fall + 0.02 * math.sin(fall * 40)
            layer = drop_layers[int(size * 4)]
            put(picture, layer, x * WIDTH + 5 * math.sin(fall * 19 + x * 9), stick * 320 - 30)
        put(picture, sill)
        put(picture, tails[_swing(at)], 196, 218)
        put(picture, cat, 96, 158)
        clock(picture, at)
        return picture

    return paint


def _swing(at: float) -> int:
    return round((math.sin(at * 1.8) + 1) / 2 * (TAIL_STEPS - 1))


def _street() -> Image.Image:
    picture = backdrop(
        (26, 11, 22),
        (180, 120, 240, 140, (96, 30, 62)),
        (500, 160, 220, 120, (70, 26, 74)),
        (330, 320, 330, 70, (62, 28, 24)),
    )
    houses = Pen()
    for number, tall in enumerate([90, 140, 70, 160, 110, 130, 80, 150]):
        houses.box(number * 84 - 20, 220 - tall, 74, tall, (36, 16, 40, 190))
    put(picture, houses.done(blur=6))
    return picture


def _sill() -> Image.Image:
    pen = Pen()
    pen.box(316, 0, 9, 306, (34, 17, 24, 255))
    pen.box(0, 0, WIDTH, 8, (34, 17, 24, 255))
    pen.box(0, 304, WIDTH, 56, (46, 24, 28, 255))
    pen.box(0, 304, WIDTH, 3, (176, 92, 96, 150))
    for number, color in enumerate([(112, 40, 52), (64, 52, 84), (148, 96, 60)]):
        pen.box(486 - 4 * number, 292 - 13 * number, 104, 13, (*color, 255), 2)
    pen.box(420, 262, 38, 42, (196, 140, 140, 255), 6)
    pen.ring(462, 280, 10, 4, (196, 140, 140, 255))
    return pen.done()


def _disc(radius: int, color: Color) -> Image.Image:
    """A light out of focus: an even disc with a slightly brighter rim."""
    size = 2 * radius + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
    distance = np.sqrt(x * x + y * y)
    reach = np.clip((1 - distance) * 9, 0, 1) * (0.34 + 0.2 * distance**4)
    pixels = reach[..., None] * np.array(color)
    return Image.fromarray(pixels.astype(np.uint8).reshape(size, size, 3))


def _drop(size: int) -> Image.Image:
    pen = Pen(2 * size + 2, 40)
    middle = size + 1
    pen.shape(
        [(middle - 0.8, 0), (middle + 0.8, 0), (middle + 1.4, 34), (middle - 1.4, 34)],
        (255, 214, 232, 34),
    )
    pen.oval(middle, 33, size * 0.8, size, (255, 214, 232, 74))
    pen.oval(middle - size * 0.25, 31, size * 0.3, size * 0.35, (255, 255, 255, 190))
    return pen.done()


def _cat() -> Image.Image:
    fur = (20, 11, 17, 255)
    pen = Pen(130, 150)
    pen.oval(64, 104, 42, 48, fur)
    pen.oval(64, 48, 29, 26, fur)
    pen.shape([(38, 46), (40, 10), (60, 28)], fur)
    pen.shape([(90, 46), (88, 10), (68, 28)], fur)
    pen.arc((22, 56, 106, 150), 200, 262, 2, (216, 110, 130, 130))
    pen.arc((35, 22, 93, 74), 205, 265, 2, (216, 110, 130, 130))
    return pen.done()


def _tail(swing: float) -> Image.Image:
    pen = Pen(90, HEIGHT - 218)
    lift = 20 + 34 * swing
    points = [
        (8 + 60 * t, 84 - lift * t * t * (1.2 - 0.4 * t))
        for t in (0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
    ]
    pen.line(points, 10, (20, 11, 17, 255))
    pen.oval(*points[-1], 5, 5, (20, 11, 17, 255))
    return pen.done()
