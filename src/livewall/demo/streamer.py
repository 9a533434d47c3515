"""The life of one demo streamer: sign in, introduce oneself, be live until told to stop."""

import asyncio
import io
import random
import threading
import time
from urllib.parse import quote

import msgspec
import numpy as np
import structlog
from PIL import Image

from livewall.client import (
    Api,
    BannedError,
    Camera,
    Picture,
    ProblemError,
    Publisher,
    Show,
    SignedOutError,
    Tab,
    backoff,
    sign_in_guest,
)
from livewall.client.messages import Stream
from livewall.client.tasks import Tasks
from livewall.demo.people import DemoPerson
from livewall.demo.scenes import Paint
from livewall.demo.state import KeptTokens

log = structlog.get_logger(__name__)

PREVIEW_SIZE = (320, 180)
# Seldom enough that a chat is people talking, with somebody on camera saying a word in between.
CHAT_SECONDS = (240.0, 900.0)
FIRST_CHAT_SECONDS = (12.0, 45.0)
CHAT_LOOK_SECONDS = 5.0
NAME_TRIES = 4
# How often somebody whose stream was taken over looks whether it is free again.
COME_BACK_SECONDS = 20.0


class DemoStreamer:
    """One demo person on one server."""

    def __init__(self, base_url: str, person: DemoPerson, tokens: KeptTokens) -> None:
        self.person = person
        self.camera = Camera(self._paint, person.frames_per_second)
        self.publisher: Publisher | None = None
        self._base_url, self._tokens = base_url, tokens
        self._scene: Paint | None = None
        self._drawing = threading.Lock()
        self._tasks = Tasks()
        self._tab: Tab | None = None
        self._told: set[str] = set()

    @property
    def is_live(self) -> bool:
        """Whether the server has us live, as far as we have heard."""
        stream = self.publisher.stream if self.publisher else None
        return stream is not None and stream.live_available

    async def run(self) -> None:
        """Be live until cancelled; then stop with a word to the server."""
        await asyncio.to_thread(self.build)
        attempt = 0
        while True:
            try:
                await self._one_life()
            except BannedError:
                log.warning("demo_person_banned", demo=self.person.name)
                return
            except (OSError, ProblemError, SignedOutError) as error:
                self._tell(error)
                patience = getattr(error, "retry_after", None) or 0.0
                await asyncio.sleep(patience + backoff(attempt))
                attempt += 1

    def _tell(self, error: Exception) -> None:
        """Say once what is wrong; tries that fail in the same way are nobody's news."""
        reason = error.problem.code if isinstance(error, ProblemError) else repr(error)
        note = log.debug if reason in self._told else log.warning
        self._told.add(reason)
        note("demo_person_waits", demo=self.person.name, reason=reason)

    async def _one_life(self) -> None:
        """From signing in to being signed out, or to coming back after somebody took over."""
        api = await self._sign_in()
        await self._introduce(api)
        tab = self._tab = Tab(self._base_url, api.token)
        show = Show(self.person.title, self.camera, self.preview)
        self.publisher = Publisher(tab, api, show, lambda why: self._taken_over(why, tab, api))
        self.publisher.start()
        self._tasks.start(self._chat(api))
        line = asyncio.create_task(tab.run())
        try:
            await asyncio.shield(line)
        finally:
            # The line must still be up when the stream is ended with a word.
            await self._end()
            await asyncio.gather(line, return_exceptions=True)

    async def _end(self) -> None:
        """Say stop, then close the socket."""
        publisher, self.publisher = self.publisher, None
        tab, self._tab = self._tab, None
        if publisher is not None:
            await publisher.stop()
        if tab is not None:
            await tab.close()
        await self._tasks.cancel()

    def _taken_over(self, reason: str, tab: Tab, api: Api) -> None:
        log.warning("demo_person_elsewhere", demo=self.person.name, reason=reason)
        self._tasks.start(self._come_back(tab, api))

    async def _come_back(self, tab: Tab, api: Api) -> None:
        """Begin a new life once nobody else is live as this person; never take it from them."""
        while await self._is_live_elsewhere(api):  # noqa: ASYNC110
            await asyncio.sleep(COME_BACK_SECONDS)
        await tab.close()

    async def _is_live_elsewhere(self, api: Api) -> bool:
        stream = self.publisher.stream if self.publisher else None
        if stream is None:
            return False
        try:
            return (await api.get(f"/api/streams/{quote(stream.id)}", Stream)).live_available
        except (ProblemError, OSError) as error:
            log.debug("demo_look_failed", reason=str(error))
            return True

    # Being somebody.

    async def _sign_in(self) -> Api:
        """Come back as the same guest if the server still knows them, else become a new one."""
        kept = self._tokens.get(self.person.name)
        if kept is not None:
            api = Api(self._base_url, kept)
            if await _is_known(api):
                return api
        api = await self._become_guest()
        self._tokens.keep(self.person.name, api.token)
        return api

    async def _become_guest(self) -> Api:
        name = self.person.name
        for number in range(1, NAME_TRIES + 1):
            try:
                api, _ = await sign_in_guest(self._base_url, name, demo=True)
            except ProblemError as error:
                if error.problem.code != "name_taken":
                    raise
                name = f"{self.person.name}.{number + 1}"
            else:
                return api
        api, _ = await sign_in_guest(self._base_url, demo=True)
        return api

    async def _introduce(self, api: Api) -> None:
        about = {"display_name": self.person.display_name, "bio": self.person.bio}
        links = [{"label": link.label, "url": link.url} for link in self.person.links]
        await api.call("PATCH", "/api/me", about)
        await api.call("PUT", "/api/me/links", {"links": links})

    async def _chat(self, api: Api) -> None:
        """Say a line now and then, only while somebody watches."""
        lines = list(self.person.lines)
        dice = random.Random(self.person.name)  # noqa: S311  small talk, not a secret
        spoken = False
        while True:
            await self._until_watched()
            await asyncio.sleep(dice.uniform(*(CHAT_SECONDS if spoken else FIRST_CHAT_SECONDS)))
            spoken = True
            demand = self.publisher.demand if self.publisher else None
            if demand is None or not demand.is_published or demand.stream_id is None:
                continue
            path = f"/api/streams/{quote(demand.stream_id)}/chat"
            try:
                await api.call("POST", path, {"body": dice.choice(lines)})
            except (ProblemError, OSError) as error:
                log.debug("demo_chat_refused", reason=str(error))

    async def _until_watched(self) -> None:
        while self.publisher is None or not self.publisher.demand.is_published:  # noqa: ASYNC110
            await asyncio.sleep(CHAT_LOOK_SECONDS)

    # Pictures.

    def build(self) -> None:
        """Draw what stands still in the scene; takes a quarter of a second."""
        self._scene = self.person.scene()

    def preview(self) -> bytes:
        """The picture of now as a JPEG of 320x180."""
        small = self._still().resize(PREVIEW_SIZE, Image.Resampling.BOX)
        content = io.BytesIO()
        small.save(content, "JPEG", quality=82)
        return content.getvalue()

    def _paint(self) -> Picture:
        return np.asarray(self._still())

    def _still(self) -> Image.Image:
        if self._scene is None:
            raise RuntimeError("The scene is built when the streamer starts.")
        # A preview may fall due while the camera draws; a scene keeps state between pictures.
        with self._drawing:
            return self._scene(time.time())


async def _is_known(api: Api) -> bool:
    """Say whether the server still takes this token: it may have been reset meanwhile."""
    try:
        answer = msgspec.json.decode(await api.call("GET", "/api/session"))
    except ProblemError as error:
        if error.problem.status != 401:
            raise
        return False
    return answer["account"] is not None
