"""`livewall up`: the server with everything around it that makes it live on one machine."""

import os
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from livewall.settings import Settings

READY_WITHIN = 60.0
# So long "ready" waits for the demo streamers: a wall that people open at once is then alive.
DEMO_WITHIN = 15.0
# So long the demo streamers may take to say goodbye.
END_WITHIN = 10.0


class CannotStartError(Exception):
    """The server cannot start; the message is one line that says what to do."""


def with_free_port(settings: Settings) -> Settings:
    """Return settings with a port that can be listened on, chosen if it is 0.

    Raises CannotStartError, one line, if the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server will: a port that only lingers after a restart is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
            return msgspec.structs.replace(settings, port=probe.getsockname()[1])
        except OSError as error:
            raise CannotStartError(
                f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
                "set LIVEWALL_PORT or LIVEWALL_HOST."
            ) from None


class Demo:
    """The process of the demo streamers, or none. It is slow to start, so it is started first."""

    def __init__(self, settings: Settings) -> None:
        self._child: subprocess.Popen[str] | None = None
        if settings.demo and not settings.production:
            self._child = _start_demo(settings)

    def first_word(self, ended: threading.Event) -> str:
        """Return what it says once its people are live; nothing if that takes too long."""
        out = self._child.stdout if self._child else None
        deadline = time.monotonic() + DEMO_WITHIN
        while out is not None and time.monotonic() < deadline and not ended.is_set():
            if select.select([out], [], [], 0.1)[0]:
                return out.readline().strip()
        return ""

    def end(self) -> None:
        """Tell the streamers to leave, and wait until they have."""
        child, self._child = self._child, None
        if child is not None:
            child.terminate()
            try:
                child.wait(timeout=END_WITHIN)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def demo_streamers(settings: Settings) -> Generator[Demo]:
    """Have the demo streamers ready for the server that starts in this block, if it wants them."""
    demo = Demo(settings)
    try:
        yield demo
    finally:
        demo.end()


def run(settings: Settings, demo: Demo) -> None:
    """Serve until told to stop; once everything is there print the address and open it."""
    from livewall.serving import serve

    with _when_ready(settings, demo):
        try:
            serve(settings)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)


@contextmanager
def _when_ready(settings: Settings, demo: Demo) -> Generator[None]:
    """Welcome people beside the server, which has the main thread."""
    ended = threading.Event()
    thread = threading.Thread(target=_welcome, args=(settings, ended, demo), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
        demo.end()  # before the database goes


def _welcome(settings: Settings, ended: threading.Event, demo: Demo) -> None:
    if not _answers(settings, ended):
        return
    word = demo.first_word(ended)
    lines = [f"Livewall is ready: {settings.url}", *([word] if word else [])]
    print("\n  " + "\n  ".join(lines) + "\n", flush=True)
    if settings.open and not ended.is_set():
        webbrowser.open(settings.url)


def _answers(settings: Settings, ended: threading.Event) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and not ended.wait(0.05):
        try:
            with urllib.request.urlopen(f"{settings.local_url}/healthz", timeout=2):  # noqa: S310
                return True
        except OSError:
            continue
    return False


def _start_demo(settings: Settings) -> subprocess.Popen[str]:
    url = settings.local_url
    command = [sys.executable, "-m", "livewall", "demo", "--with-parent", "--url", url]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
