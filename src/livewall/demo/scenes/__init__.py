"""The pictures of the demo streamers, one module each."""

from livewall.demo.scenes.aquarium import aquarium
from livewall.demo.scenes.canvas import HEIGHT, WIDTH, Paint
from livewall.demo.scenes.chess import chess
from livewall.demo.scenes.lofi import lofi
from livewall.demo.scenes.rain import rain
from livewall.demo.scenes.scope import scope
from livewall.demo.scenes.sourdough import sourdough
from livewall.demo.scenes.stars import stars
from livewall.demo.scenes.train import train

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Paint",
    "aquarium",
    "chess",
    "lofi",
    "rain",
    "scope",
    "sourdough",
    "stars",
    "train",
]
