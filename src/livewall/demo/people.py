"""Who the demo streamers are: a name, a few words about themselves, and what they show."""

from collections.abc import Callable
from dataclasses import dataclass

from livewall.demo import scenes
from livewall.demo.scenes import Paint


@dataclass(frozen=True)
class Link:
    """One entry of a profile's links."""

    label: str
    url: str


@dataclass(frozen=True)
class DemoPerson:
    """One demo streamer. `lines` are what they say in their own chat now and then."""

    name: str
    display_name: str
    title: str
    bio: str
    links: tuple[Link, ...]
    scene: Callable[[], Paint]
    lines: tuple[str, ...]
    frames_per_second: float = 10.0


PEOPLE: tuple[DemoPerson, ...] = (
    DemoPerson(
        "ana",
        "Ana",
        "Late-night lo-fi",
        "Tape loops, a borrowed Juno and too much tea. Requests open until one.",
        (
            Link("tapes", "https://ana.example/tapes"),
            Link("what I play on", "https://ana.example/gear"),
        ),
        scenes.lofi,
        ("flipping the tape, one moment", "that hiss is on purpose", "kettle is on again"),
    ),
    DemoPerson(
        "kofi",
        "Kofi",
        "Sourdough, take 3",
        "Bakes at night because the kitchen is quiet. Takes 1 and 2 were bricks.",
        (
            Link("the recipe", "https://kofi.example/loaf"),
            Link("brick diary", "https://kofi.example/bricks"),
        ),
        scenes.sourdough,
        ("over the red line, that is double", "smells right this time", "do not open the oven yet"),
    ),
    DemoPerson(
        "mei",
        "Mei",
        "Old games, slowly",
        "Plays through famous games and says what she sees. Tonight: Paris, 1858.",
        (Link("study list", "https://mei.example/studies"),),
        scenes.chess,
        ("black has not developed a thing", "look at that bishop", "he gives the queen here"),
    ),
    DemoPerson(
        "ivo",
        "Ivo",
        "Scope music, patch 14",
        "Restores test gear and makes it sing. The green one is from 1974.",
        (
            Link("schematics", "https://ivo.example/scope"),
            Link("parts wanted", "https://ivo.example/parts"),
        ),
        scenes.scope,
        (
            "next ratio in a few seconds",
            "the drift is the temperature",
            "three to four is the best",
        ),
    ),
    DemoPerson(
        "sol",
        "Sol",
        "Rain on the window",
        "No talking, only weather. The cat is called Domingo.",
        (Link("rain sounds", "https://sol.example/rain"),),
        scenes.rain,
        ("Domingo heard something", "it should rain until four"),
        frames_per_second=12.0,
    ),
    DemoPerson(
        "priya",
        "Priya",
        "Night shift at the tank",
        "240 litres, eight fish, one opinionated snail. Ask me about plants.",
        (
            Link("plant list", "https://priya.example/plants"),
            Link("water log", "https://priya.example/water"),
        ),
        scenes.aquarium,
        (
            "the big blue one is Gustav",
            "lights dim in an hour",
            "the snail is thinking",
        ),
        frames_per_second=12.0,
    ),
    DemoPerson(
        "tomas",
        "Tomas",
        "Sleeper to the coast",
        "Films every night train he takes. Fourteen countries so far.",
        (Link("route map", "https://tomas.example/map"),),
        scenes.train,
        ("ten minutes late, as usual", "that was the last station before the hills"),
        frames_per_second=12.0,
    ),
    DemoPerson(
        "juno",
        "Juno",
        "The sky over our roof",
        "City astronomy with a second-hand telescope. Clear nights only.",
        (Link("what is up tonight", "https://juno.example/sky"),),
        scenes.stars,
        ("there, low in the west", "long exposure running", "the lantern is for the stairs"),
    ),
)
