"""One window of one person: what they see and press, and what must never happen in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.waiting import until

DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
# Patience, not a promise. How fast it is: bench-media.
FIRST_FRAME_SECONDS = 15.0

State = Literal[
    "empty", "preview", "connecting", "playing", "waiting", "blocked", "stalled", "ended"
]

# What moved in a tile's video since a first look at it: pictures decoded, and places that look
# different now. Large enough for the running clock of a scene in which all else rests.
MOVED = """(tile, isFirst) => {
  const video = tile.querySelector("video");
  const frames = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  if (frames === 0) return [0, 0];
  const canvas = document.createElement("canvas");
  canvas.width = 160;
  canvas.height = 90;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  // A new connection counts its pictures from the start.
  if (isFirst || !video.first || frames < video.first.frames) video.first = { frames, data };
  const changed = data.filter((value, at) => Math.abs(value - video.first.data[at]) > 12);
  return [frames - video.first.frames, changed.length];
}"""


@dataclass
class Window:
    """A page in a context of its own: own cookies, own storage, own permissions."""

    page: Page
    url: str
    name: str = ""
    complaints: list[str] = field(default_factory=list[str])
    forgiven: list[str] = field(default_factory=list[str])

    def forgive(self, *words: str) -> None:
        """Accept complaints with these words, because the test provokes them."""
        self.forgiven += words

    @property
    def unforgiven(self) -> list[str]:
        """The complaints that nobody asked for."""
        return [
            complaint
            for complaint in self.complaints
            if not any(words in complaint for words in self.forgiven)
        ]

    @property
    def context(self) -> BrowserContext:
        """The context, for permissions and cookies."""
        return self.page.context

    async def open(self, path: str = "/") -> "Window":
        """Go to a page of the site."""
        await self.page.goto(self.url + path)
        return self

    async def continue_as_guest(self) -> "Window":
        """Press the button of the welcome page and learn one's name."""
        await self.open("/")
        await self.page.get_by_role("button", name="Continue as guest").click()
        await expect(self.page.get_by_test_id("wall")).to_be_visible()
        session = await self.ask("/api/session")
        self.name = session["account"]["profile"]["name"]
        return self

    async def ask(self, path: str) -> Any:
        """GET an address of the API as this person."""
        return await self.page.evaluate("path => fetch(path).then(r => r.json())", path)

    async def try_now(self) -> None:
        """Have a lost line tried at once, unless it has come back by itself already."""
        button = self.page.get_by_role("button", name="Try now")
        await button.evaluate_all("found => found.forEach(button => button.click())")

    # Chat.

    @property
    def messages(self) -> Locator:
        """What was said in the open chat."""
        return self.page.get_by_role("log")

    async def say(self, name: str, words: str) -> None:
        """Write into somebody's open chat."""
        field_ = self.page.get_by_label(f"Write to {name}'s chat")
        await field_.fill(words)
        await field_.press("Enter")
        await expect(self.messages).to_contain_text(words)

    # The studio.

    @property
    def studio(self) -> Locator:
        """The studio page."""
        return self.page.get_by_test_id("studio")

    async def go_live(self, title: str = "") -> "Window":
        """Open the studio and press Go live; returns when the stream is live."""
        await self.page.get_by_role("link", name="Go live").click()
        if title:
            await self.page.get_by_label("Title of your stream").fill(title)
        await self.page.get_by_role("button", name="Go live").click()
        await self.expect_studio("idle")
        return self

    async def expect_studio(
        self, state: Literal["off", "idle", "sending"], seconds: float = 10
    ) -> None:
        """Wait until the studio says so."""
        await expect(self.studio).to_have_attribute(
            "data-publish-state", state, timeout=seconds * 1000
        )

    async def open_peers(self) -> int:
        """Return how many connections to other browsers this page holds."""
        return await self.page.evaluate("openPeers()")

    async def open_devices(self) -> int:
        """Return how many cameras and microphones this page holds."""
        return await self.page.evaluate("openDevices()")

    # The wall.

    def tile(self, name: str) -> Locator:
        """The tile of a streamer, by the name it shows."""
        label = re.compile(rf"^Tile \d+: {re.escape(name)}$")
        return self.page.get_by_role("article", name=label)

    async def watch(self, name: str) -> None:
        """Press a preview."""
        await self.tile(name).get_by_role("button", name=f"Watch {name}").click()

    async def expect_tile(self, name: str, state: State, seconds: float = 10) -> None:
        """Wait until a tile is in a state."""
        await expect(self.tile(name)).to_have_attribute("data-state", state, timeout=seconds * 1000)

    async def reload(self, name: str) -> None:
        """Reload the page and come back to a tile that played, with a tap if that is asked for.

        Whether a page may play sound by itself is for the browser to say; both are right.
        """
        await self.page.reload()
        tap = self.tile(name).get_by_role("button", name=f"Tap to resume {name}")
        await expect(tap.or_(self.tile(name).locator("video"))).to_be_visible()
        if await tap.is_visible():
            await tap.click()
        await self.expect_moving(name)

    async def choose(self, name: str, action: str) -> None:
        """Choose from the menu of a tile."""
        await self.tile(name).hover()
        await self.tile(name).get_by_role("button", name=f"More for {name}").click()
        await self.page.get_by_role("button", name=action, exact=True).click()

    async def set_volume(self, name: str, volume: int) -> None:
        """Set the volume of a playing tile; its slider shows beside the sound button."""
        await self.tile(name).get_by_role("button", name=f"Mute {name}", exact=True).hover()
        await self.page.get_by_label(f"Volume of {name}").fill(str(volume))

    async def expect_moving(self, name: str, seconds: float = FIRST_FRAME_SECONDS) -> None:
        """Wait until a tile shows decoded pictures that change."""

        await self.tile(name).evaluate(MOVED, True)

        async def moves() -> bool:
            frames, changed = await self.tile(name).evaluate(MOVED, False)
            return frames >= 5 and changed > 10

        await until(moves, seconds, f"the video of {name} moves")

    async def place(self, name: str) -> int:
        """Return the place of a tile on the wall, 1 to 12."""
        return int(await self.tile(name).get_attribute("data-slot") or 0)

    async def saved(self, fits: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the stored wall, slots by the name they show, is as it should be."""

        async def is_saved() -> bool:
            slots = (await self.ask("/api/grid"))["slots"]
            return fits({slot["streamer"]["display_name"]: slot for slot in slots})

        await until(is_saved, 10, "the wall is saved")

    async def drag(self, name: str, to: Locator) -> None:
        """Drag a tile to another place with the mouse."""
        start, end = await self.tile(name).bounding_box(), await to.bounding_box()
        assert start is not None
        assert end is not None
        mouse = self.page.mouse
        await mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        await mouse.down()
        await mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=8)
        await mouse.up()

    async def hide(self, *, is_hidden: bool) -> None:
        """Tell the page that it is in a background tab, or back. Headless windows never are."""
        await self.page.evaluate(
            """state => {
              const say = (name, value) =>
                Object.defineProperty(document, name, { value, configurable: true });
              say("visibilityState", state);
              say("hidden", state === "hidden");
              document.dispatchEvent(new Event("visibilitychange"));
            }""",
            "hidden" if is_hidden else "visible",
        )

    async def first_frame_ms(self, stream_id: object) -> float:
        """Return the time from the last click on a tile to its first picture, in milliseconds."""
        return await self.page.evaluate(
            """id => {
              const last = kind => performance.getEntriesByName(`livewall:${kind}:${id}`).at(-1);
              return last("first-frame").startTime - last("click").startTime;
            }""",
            str(stream_id),
        )


def listen(window: Window) -> None:
    """Keep every complaint of the browser: errors, console errors, policy violations."""
    page, complaints = window.page, window.complaints
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"console: {message.text} {message.location}")
            if message.type == "error"
            else None
        ),
    )


# Runs before the page's own scripts: reports violations of the policy, counts open connections
# and open cameras and microphones.
OBSERVE = """
document.addEventListener("securitypolicyviolation", event =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
const peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); peers.push(this); }
};
window.openPeers = () => peers.filter(peer => peer.connectionState !== "closed").length;
const devices = [];
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wanted => {
  const stream = await open(wanted);
  devices.push(...stream.getTracks());
  return stream;
};
window.openDevices = () => devices.filter(track => track.readyState === "live").length;
"""


async def open_window(
    browser: Browser,
    url: str,
    size: ViewportSize = DESKTOP,
    **context: Any,
) -> Window:
    """Open a window for somebody who has never been here."""
    own = await browser.new_context(viewport=size, **context)
    await own.add_init_script(OBSERVE)
    window = Window(await own.new_page(), url)
    listen(window)
    return window
