"""What every scene draws with: soft light, smooth shapes, people, and the running clock.

Whatever stands still is drawn once, three times too large, and shrunk; a frame then only copies and
pastes. That keeps a picture below a few milliseconds of one core.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 640, 360

Color = tuple[int, int, int]
Fill = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]
Paint = Callable[[float], Image.Image]
"""A scene: the picture (640x360, RGB) at a time in seconds since 1970."""

Glow = tuple[float, float, float, float, Color]
"""Soft light: centre x and y, reach to the side and up, and its colour."""

SMOOTH = 3
Stroke = Callable[[ImageDraw.ImageDraw, list[Point]], None]


def backdrop(base: Color, *glows: Glow, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A dark room of colour `base` with soft lights in it, and a little grain against banding."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.empty((height, width, 3), np.float32)
    light[:] = base
    for cx, cy, rx, ry, color in glows:
        reach = np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)
        light += reach[..., None] * np.array(color, np.float32)
    edge = 1 - 0.45 * (((x / width - 0.5) * 1.5) ** 2 + ((y / height - 0.5) * 1.5) ** 2)
    grain = np.random.default_rng(7).normal(0, 1.2, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(light * edge[..., None] + grain, 0, 255).astype(np.uint8))


class Pen:
    """Draws smooth shapes on a transparent layer, in the layer's own pixels.

    Pillow replaces what lies under a half-transparent shape; here it shows through.
    """

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self._size = (width, height)
        self._image = Image.new("RGBA", (width * SMOOTH, height * SMOOTH))

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Fill) -> None:
        """A filled ellipse around (x, y)."""
        box = _enlarged([(x - rx, y - ry), (x + rx, y + ry)])
        self._apply(box, 0, fill, lambda draw, spots: draw.ellipse(spots, fill))

    def ring(self, x: float, y: float, radius: float, width: float, fill: Fill) -> None:
        """A circle's outline around (x, y)."""
        self.arc((x - radius, y - radius, x + radius, y + radius), 0, 360, width, fill)

    def arc(self, box: Sequence[float], start: float, end: float, width: float, fill: Fill) -> None:
        """Part of the ellipse in `box` (x0, y0, x1, y1), in degrees from three o'clock on."""
        corners, thick = _enlarged([(box[0], box[1]), (box[2], box[3])]), round(width * SMOOTH)
        self._apply(corners, 0, fill, lambda draw, spots: draw.arc(spots, start, end, fill, thick))

    def box(  # noqa: PLR0913, PLR0917  a rectangle has that many numbers
        self, x: float, y: float, w: float, h: float, fill: Fill, radius: float = 0
    ) -> None:
        """A filled rectangle with its corner at (x, y)."""
        corners, round_by = _enlarged([(x, y), (x + w, y + h)]), radius * SMOOTH
        self._apply(
            corners, 0, fill, lambda draw, spots: draw.rounded_rectangle(spots, round_by, fill)
        )

    def shape(self, points: Sequence[Point], fill: Fill) -> None:
        """A filled polygon."""
        self._apply(_enlarged(points), 0, fill, lambda draw, spots: draw.polygon(spots, fill))

    def line(self, points: Sequence[Point], width: float, fill: Fill) -> None:
        """A line through `points` with rounded joints."""
        thick = round(width * SMOOTH)
        self._apply(
            _enlarged(points),
            thick,
            fill,
            lambda draw, spots: draw.line(spots, fill, thick, joint="curve"),
        )

    def done(self, blur: float = 0) -> Image.Image:
        """The finished layer (RGBA), softened by `blur` pixels."""
        layer = self._image.resize(self._size, Image.Resampling.BOX)
        return layer.filter(ImageFilter.GaussianBlur(blur)) if blur else layer

    def _apply(self, spots: list[Point], margin: int, fill: Fill, stroke: Stroke) -> None:
        if len(fill) == 3 or fill[3] == 255:
            stroke(ImageDraw.Draw(self._image), spots)
            return
        left = max(0, int(min(x for x, _ in spots)) - margin)
        top = max(0, int(min(y for _, y in spots)) - margin)
        width = int(max(x for x, _ in spots)) + margin + 2 - left
        height = int(max(y for _, y in spots)) + margin + 2 - top
        if width > 0 and height > 0:
            patch = Image.new("RGBA", (width, height))
            stroke(ImageDraw.Draw(patch), [(x - left, y - top) for x, y in spots])
            self._image.alpha_composite(patch, (left, top))


def _enlarged(points: Sequence[Point]) -> list[Point]:
    return [(x * SMOOTH, y * SMOOTH) for x, y in points]


def put(picture: Image.Image, layer: Image.Image, x: float = 0, y: float = 0) -> None:
    """Paste an RGBA `layer` with its corner at (x, y); parts outside are cut off."""
    picture.paste(layer, (round(x), round(y)), layer)


def shine(picture: Image.Image, light: Image.Image, x: float, y: float) -> None:
    """Add an RGB `light` to the picture with its corner at (x, y), as light adds up."""
    left, top = round(x), round(y)
    box = (left, top, left + light.width, top + light.height)
    picture.paste(ImageChops.add(picture.crop(box), light), box)


def halo(radius: int, color: Color, sharpness: float = 2.0) -> Image.Image:
    """A round RGB light of `radius` pixels for `shine`, brightest in its middle."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / radius
    reach = np.clip(1 - np.sqrt(x * x + y * y), 0, 1) ** sharpness
    return _lit(reach, color)


def _lit(reach: NDArray[np.float64], color: Color) -> Image.Image:
    return Image.fromarray((reach[..., None] * np.array(color)).astype(np.uint8))


def person(skin: Color, hair: Color, shirt: Color, *, style: str = "short") -> Image.Image:
    """Head and shoulders (RGBA, 230x210), lit from the left; `style` is short, long or bun."""
    pen = Pen(230, 210)
    if style == "long":
        pen.box(68, 40, 94, 110, hair, 44)
    if style == "bun":
        pen.oval(115, 14, 19, 17, hair)
    pen.oval(115, 216, 104, 82, shirt)
    pen.box(97, 105, 36, 44, _shade(skin, 0.72), 15)
    pen.oval(115, 79, 42, 50, skin)
    pen.shape(_hair_line(), hair)
    return _lit_from_left(pen.done())


def _hair_line() -> list[Point]:
    over = [(115 + 46 * np.cos(a), 72 + 52 * np.sin(a)) for a in np.linspace(np.pi, 2 * np.pi, 24)]
    under = [(115 + 42 * np.cos(a), 66 - 18 * np.sin(a)) for a in np.linspace(0, np.pi, 24)]
    return [(float(x), float(y)) for x, y in over + under]


def _lit_from_left(layer: Image.Image) -> Image.Image:
    pixels = np.asarray(layer).astype(np.float32)
    across = np.linspace(1.12, 0.62, layer.width, dtype=np.float32)
    down = np.linspace(1.0, 0.7, layer.height, dtype=np.float32)
    pixels[..., :3] *= across[None, :, None] * down[:, None, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _shade(color: Color, by: float) -> Color:
    red, green, blue = (min(255, round(part * by)) for part in color)
    return red, green, blue


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The face that comes with Pillow, so that every machine draws the same."""
    return ImageFont.load_default(size)


@lru_cache(maxsize=32)
def label(text: str, size: int, color: Color) -> Image.Image:
    """A line of text as a layer (RGBA) with a soft shadow."""
    width = round(font(size).getlength(text)) + 8
    layer = Image.new("RGBA", (width, size + 10))
    draw = ImageDraw.Draw(layer)
    draw.text((5, 4), text, (0, 0, 0, 150), font(size))
    draw.text((4, 3), text, (*color, 235), font(size))
    return layer


def clock(picture: Image.Image, at: float) -> None:
    """Write the local time at the top right, where no control of a tile covers it."""
    text = label(time.strftime("%H:%M:%S", time.localtime(at)), 17, (240, 236, 226))
    put(picture, text, WIDTH - 90, 12)
