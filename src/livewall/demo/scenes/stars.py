"""An indigo roof: the sky turns around its pole, a telescope waits, a meteor now and then."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from livewall.demo.scenes.canvas import (
    HEIGHT,
    WIDTH,
    Paint,
    Pen,
    backdrop,
    clock,
    halo,
    person,
    put,
    shine,
)

POLE = (232.0, 118.0)
TURN_PER_SECOND = 0.012
TRAIL = 60
STARS = 260
METEOR_SECONDS = 9.0

Numbers = NDArray[np.float64]


def stars() -> Paint:
    """Build the scene."""
    night = np.asarray(_night())
    roof = _roof()
    watcher = person((168, 116, 88), (26, 24, 40), (50, 60, 42))
    lantern = halo(74, (120, 70, 20), 1.7)
    dice = np.random.default_rng(21)
    distance = 500 * np.sqrt(dice.uniform(0, 1, STARS))
    angle = dice.uniform(0, math.tau, STARS)
    brightness = dice.uniform(30, 255, STARS) ** 1.05

    def paint(at: float) -> Image.Image:
        sky = night.copy()
        _trails(sky, angle + at * TURN_PER_SECOND, distance, brightness)
        picture = Image.fromarray(sky)
        _meteor(picture, at)
        put(picture, roof)
        put(picture, watcher, 402, 156 + 1.5 * math.sin(at * 0.6))
        shine(picture, lantern, 396 - 74, 268 - 74 + math.sin(at * 5))
        clock(picture, at)
        return picture

    return paint


def _trails(sky: NDArray[np.uint8], angle: Numbers, distance: Numbers, brightness: Numbers) -> None:
    """Every star leaves a fading arc behind it."""
    back = np.arange(TRAIL)[::-1, None] * 0.0026
    x = (POLE[0] + distance * np.cos(angle - back)).astype(np.intp)
    y = (POLE[1] + distance * np.sin(angle - back)).astype(np.intp)
    light = brightness * np.linspace(0.06, 0.9, TRAIL)[:, None] ** 1.6
    seen = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    tinted = light[seen][:, None] * np.array((0.86, 0.9, 1.0))
    spots = sky[y[seen], x[seen]]
    sky[y[seen], x[seen]] = np.minimum(spots + tinted, 255).astype(np.uint8)


def _meteor(picture: Image.Image, at: float) -> None:
    number, since = divmod(at, METEOR_SECONDS)
    if since > 0.7:
        return
    x0, y0 = 60 + (number * 131) % 420, 20 + (number * 57) % 90
    draw = ImageDraw.Draw(picture, "RGBA")
    for part in range(12):
        along = since * 260 - part * 6
        if along > 0:
            shade = (236, 240, 255, int(230 * (1 - part / 12) * (1 - since / 0.75)))
            x, y = x0 + along, y0 + along * 0.45
            draw.line((x, y, x + 6, y + 2.7), shade, 2)


def _night() -> Image.Image:
    return backdrop(
        (11, 12, 32),
        (330, 330, 420, 110, (74, 40, 70)),
        (250, 60, 300, 200, (18, 24, 66)),
        (120, 190, 330, 60, (22, 24, 52)),
    )


def _roof() -> Image.Image:
    dark = (13, 11, 20, 255)
    pen = Pen()
    for number, tall in enumerate([30, 44, 26, 52, 36, 40, 30, 48]):
        pen.box(number * 82, 318 - tall, 60, tall + 50, (18, 15, 30, 255))
        pen.box(number * 82 + 16, 328 - tall, 7, 9, (230, 160, 80, 190))
    pen.box(0, 324, WIDTH, 36, dark)
    pen.box(0, 324, WIDTH, 2, (110, 84, 130, 150))
    pen.line([(300, 324), (330, 250), (352, 324)], 5, dark)
    pen.line([(330, 250), (330, 324)], 5, dark)
    pen.line([(268, 296), (398, 190)], 25, (30, 28, 48, 255))
    pen.line([(384, 202), (404, 185)], 33, (44, 42, 66, 255))
    pen.line([(258, 304), (276, 290)], 13, (44, 42, 66, 255))
    pen.line([(272, 282), (388, 188)], 2, (150, 140, 200, 150))
    pen.box(386, 262, 20, 62, (24, 20, 30, 255), 4)
    pen.box(389, 262, 14, 22, (255, 200, 110, 255), 4)
    return pen.done()
