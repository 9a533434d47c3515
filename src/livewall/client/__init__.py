"""The reference client in Python: HTTP calls, one WebSocket per tab, and both roles in the video.

It uses nothing that is not in docs/protocol.md. The demo streamers publish with it, and the tests
watch with it to count real pictures without a browser. Needs the extra `livewall[demo]`.
"""

from livewall.client.api import Api, ProblemError, sign_in_guest
from livewall.client.demand import Demand
from livewall.client.media import Camera, Picture
from livewall.client.publisher import Publisher, Show
from livewall.client.tab import BannedError, SignedOutError, SocketLostError, Tab, backoff
from livewall.client.viewer import Tile, Viewer

__all__ = [
    "Api",
    "BannedError",
    "Camera",
    "Demand",
    "Picture",
    "ProblemError",
    "Publisher",
    "Show",
    "SignedOutError",
    "SocketLostError",
    "Tab",
    "Tile",
    "Viewer",
    "backoff",
    "sign_in_guest",
]
