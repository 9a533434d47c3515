"""A purple evening: a famous game of 1858 plays itself, one move every few seconds."""

import math

from PIL import Image, ImageDraw

from livewall.demo.scenes.canvas import (
    Color,
    Paint,
    Pen,
    backdrop,
    clock,
    label,
    person,
    put,
)

# Morphy against the Duke of Brunswick and Count Isouard, Paris 1858; castling moves two pieces.
GAME = (
    "e2e4 e7e5 g1f3 d7d6 d2d4 c8g4 d4e5 g4f3 d1f3 d6e5 f1c4 g8f6 f3b3 d8e7 b1c3 c7c6 c1g5 b7b5 "
    "c3b5 c6b5 c4b5 b8d7 e1c1+a1d1 a8d8 d1d7 d8d7 h1d1 e7e6 b5d7 f6d7 b3b8 d7b8 d1d8"
)
START = "rnbqkbnr" + "p" * 8 + "." * 32 + "P" * 8 + "RNBQKBNR"
MOVE_SECONDS = 4.0
SLIDE_SECONDS = 0.7
PAUSE_MOVES = 4
CELL = 34
PIECE = 37
# Low enough that the name at the top of a tile covers no piece.
LEFT, TOP = 44, 60

Board = tuple[str, ...]
Hops = list[tuple[int, int]]


def chess() -> Paint:
    """Build the scene."""
    room = _room()
    player = person((190, 128, 98), (30, 22, 40), (70, 108, 52), style="long")
    pieces = {kind: _piece(kind) for kind in "PNBRQKpnbrqk"}
    boards, moves = positions()
    kept: dict[int, Image.Image] = {}

    def still(number: int) -> Image.Image:
        """Everything that does not move during move `number`; drawn once per move."""
        if number not in kept:
            kept.clear()
            kept[number] = _position(room, boards[number], moves, number, pieces)
        return kept[number].copy()

    def paint(at: float) -> Image.Image:
        spot, since = divmod(at % ((len(moves) + PAUSE_MOVES) * MOVE_SECONDS), MOVE_SECONDS)
        number = min(int(spot), len(moves))
        picture = still(number)
        put(picture, player, 402, 153 + 2 * math.sin(at * 0.8))
        _clocks(picture, spot, since, len(moves))
        if number < len(moves):
            slide = min(1.0, since / SLIDE_SECONDS)
            along = slide * slide * (3 - 2 * slide)
            for start, end in moves[number]:
                (x0, y0), (x1, y1) = _corner(start), _corner(end)
                piece = pieces[boards[number][start]]
                put(picture, piece, x0 + (x1 - x0) * along, y0 + (y1 - y0) * along)
        clock(picture, at)
        return picture

    return paint


def positions() -> tuple[list[Board], list[Hops]]:
    """The position before each move and after the last, and what hops in each move."""
    boards: list[Board] = [tuple(START)]
    moves: list[Hops] = []
    for text in GAME.split():
        hops = [(_square(hop[:2]), _square(hop[2:])) for hop in text.split("+")]
        squares = list(boards[-1])
        for start, end in hops:
            squares[end], squares[start] = squares[start], "."
        moves.append(hops)
        boards.append(tuple(squares))
    return boards, moves


def _square(name: str) -> int:
    return (8 - int(name[1])) * 8 + ord(name[0]) - ord("a")


def _corner(square: int) -> tuple[int, int]:
    row, column = divmod(square, 8)
    return LEFT + column * CELL, TOP + row * CELL


def _position(
    room: Image.Image,
    board: Board,
    moves: list[Hops],
    number: int,
    pieces: dict[str, Image.Image],
) -> Image.Image:
    picture = room.copy()
    light = ImageDraw.Draw(picture, "RGBA")
    for square in [spot for hop in moves[max(0, number - 1) : number] for spot in hop[0]]:
        x, y = _corner(square)
        light.rectangle((x, y, x + CELL - 1, y + CELL - 1), (255, 190, 90, 90))
    moving = {start for start, _ in moves[number]} if number < len(moves) else set[int]()
    for square, kind in enumerate(board):
        if kind != "." and square not in moving:
            put(picture, pieces[kind], *_corner(square))
    return picture


def _clocks(picture: Image.Image, spot: float, since: float, total: int) -> None:
    used = spot * MOVE_SECONDS / 2
    for side, y in ((1, 62), (0, 96)):
        running = int(spot) % 2 == side and spot < total
        left = max(0.0, 180 - used - (since if running else 0.0))
        color: Color = (255, 214, 150) if running else (186, 166, 212)
        name = "Black" if side else "White"
        put(picture, label(f"{name}  {int(left // 60)}:{int(left % 60):02d}", 18, color), 370, y)


def _room() -> Image.Image:
    picture = backdrop(
        (19, 11, 28),
        (470, 120, 210, 150, (84, 44, 130)),
        (180, 170, 220, 200, (48, 24, 70)),
        (600, 320, 140, 120, (70, 20, 52)),
    )
    pen = Pen()
    for shelf in range(2):
        pen.box(520, 92 + 70 * shelf, 120, 4, (62, 38, 74, 255))
        for book in range(9):
            tall = 34 + (book * 7 + shelf * 5) % 16
            shade = (58 + 9 * (book % 4), 30 + 7 * (book % 3), 84 + 10 * (book % 5), 255)
            pen.box(524 + 12 * book, 92 + 70 * shelf - tall, 10, tall, shade, 1)
    pen.box(LEFT - 12, TOP - 12, 8 * CELL + 24, 8 * CELL + 24, (36, 20, 28, 255), 8)
    for square in range(64):
        x, y = _corner(square)
        dark = (square + square // 8) % 2
        pen.box(x, y, CELL, CELL, (110, 74, 118, 255) if dark else (206, 184, 206, 255))
    put(picture, pen.done())
    return picture


def _piece(kind: str) -> Image.Image:
    white = kind.isupper()
    body: Color = (250, 244, 236) if white else (40, 24, 48)
    rim: Color = (84, 60, 88) if white else (176, 142, 190)
    layer = Image.new("RGBA", (PIECE, PIECE))
    for color, grow in ((rim, 1.3), (body, 0.0)):
        pen = Pen(PIECE, PIECE)
        _outline(pen, kind.upper(), color, grow)
        put(layer, pen.done())
    return layer.resize((CELL, CELL), Image.Resampling.LANCZOS)


def _outline(pen: Pen, kind: str, color: Color, grow: float) -> None:
    """One piece in its cell, every part wider by `grow` on all sides."""
    g = grow
    middle = PIECE / 2
    pen.box(middle - 11 - g, 29 - g, 22 + 2 * g, 5 + 2 * g, color, 2)
    waist = {"P": (16, 4.0), "R": (12, 7.0)}.get(kind, (13, 5.0))
    top, narrow = waist
    pen.shape(
        [
            (middle - narrow - g, top),
            (middle + narrow + g, top),
            (middle + 9 + g, 30),
            (middle - 9 - g, 30),
        ],
        color,
    )
    if kind == "P":
        pen.oval(middle, 14, 5.5 + g, 5.5 + g, color)
    elif kind == "R":
        pen.box(middle - 9 - g, 8 - g, 18 + 2 * g, 7 + 2 * g, color)
        for notch in (-9, -2.5, 4):
            pen.box(middle + notch - g, 4 - g, 5 + 2 * g, 6, color)
    elif kind == "N":
        pen.shape(
            [
                (10 - g, 19 + g),
                (8 - g, 15),
                (17, 4 - g),
                (24 + g, 7),
                (28 + g, 20),
                (27 + g, 28),
                (13, 28),
                (19, 17),
            ],
            color,
        )
    elif kind == "B":
        pen.oval(middle, 13, 6 + g, 8 + g, color)
        pen.oval(middle, 4.5, 2.2 + g, 2.2 + g, color)
    else:
        _crown(pen, kind, color, g)


def _crown(pen: Pen, kind: str, color: Color, g: float) -> None:
    middle = PIECE / 2
    if kind == "Q":
        for tip in (-10, -5, 0, 5, 10):
            pen.oval(middle + tip, 7 + abs(tip) / 4, 2.2 + g, 2.2 + g, color)
            pen.shape([(middle + tip, 7 - g), (middle - 6 - g, 21), (middle + 6 + g, 21)], color)
    else:
        pen.box(middle - 1.5 - g, 2 - g, 3 + 2 * g, 11 + g, color)
        pen.box(middle - 5 - g, 5 - g, 10 + 2 * g, 3 + 2 * g, color)
        pen.oval(middle, 17, 9 + g, 6 + g, color)
