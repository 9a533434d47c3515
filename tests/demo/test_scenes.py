"""The pictures: they move and show the time. What they cost is measured by bench-media."""

import io

import numpy as np
import pytest
from PIL import Image, ImageChops

from livewall.demo.people import PEOPLE, DemoPerson
from livewall.demo.scenes import HEIGHT, WIDTH
from livewall.demo.scenes.chess import positions
from livewall.demo.state import KeptTokens
from livewall.demo.streamer import DemoStreamer

AT = 1_780_000_000.25
CLOCK_BOX = (WIDTH - 92, 8, WIDTH, 40)

everybody = pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference per pixel and channel, from 0 to 255."""
    return float(np.asarray(ImageChops.difference(one, other)).mean())


@everybody
def test_a_scene_is_a_moving_picture_in_the_agreed_size(person: DemoPerson) -> None:
    paint = person.scene()
    first, soon, later = paint(AT), paint(AT + 1 / 12), paint(AT + 3)
    assert first.size == (WIDTH, HEIGHT)
    assert first.mode == "RGB"
    assert difference(first, later) > 0.2
    assert difference(first, soon) < difference(first, Image.new("RGB", first.size))


@everybody
def test_the_clock_runs(person: DemoPerson) -> None:
    paint = person.scene()
    seconds = [paint(AT + second).crop(CLOCK_BOX) for second in range(3)]
    assert difference(seconds[0], seconds[1]) > 1
    assert difference(seconds[1], seconds[2]) > 1


def test_every_world_looks_different() -> None:
    pictures = [person.scene()(AT).resize((32, 18)) for person in PEOPLE]
    for number, picture in enumerate(pictures):
        assert all(difference(picture, other) > 8 for other in pictures[:number])


def test_names_are_valid_and_distinct_and_titles_differ() -> None:
    assert len({person.name for person in PEOPLE}) == len(PEOPLE) >= 8
    assert len({person.title for person in PEOPLE}) == len(PEOPLE)
    assert all(3 <= len(person.name) <= 24 and person.name.isalpha() for person in PEOPLE)


@everybody
def test_a_preview_fits_what_the_server_takes(person: DemoPerson) -> None:
    streamer = DemoStreamer("http://localhost", person, KeptTokens("http://localhost", None))
    streamer.build()
    jpeg = streamer.preview()
    assert len(jpeg) <= 64 * 1024
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (320, 180)


def test_the_chess_game_only_moves_pieces_and_ends_in_the_famous_mate() -> None:
    boards, moves = positions()
    for board, hops in zip(boards, moves, strict=False):
        assert all(board[start] != "." for start, _ in hops)
    last = boards[-1]
    assert (last[3], last[4], last[58]) == ("R", "k", "K")
