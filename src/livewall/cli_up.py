"""`livewall up`: the server with everything around it that makes it live on one machine."""

import os
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


def run(settings: Settings) -> None:
    """Serve until told to stop; once ready print the address, open it and start the demo."""
    from livewall.serving import serve

    with _when_ready(settings):
        try:
            serve(settings)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)


@contextmanager
def _when_ready(settings: Settings) -> Generator[None]:
    """Welcome people beside the server, which has the main thread."""
    ended = threading.Event()
    children: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=_welcome, args=(settings, ended, children), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
        for child in children:
            child.terminate()
            child.wait(timeout=10)


def _welcome(
    settings: Settings, ended: threading.Event, children: list[subprocess.Popen[bytes]]
) -> None:
    if not _answers(settings, ended):
        return
    print(f"\n  Livewall is ready: {settings.url}\n", flush=True)
    if settings.demo and not settings.production:
        children.append(_start_demo(settings))
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


def _start_demo(settings: Settings) -> subprocess.Popen[bytes]:
    url = settings.local_url
    command = [sys.executable, "-m", "livewall", "demo", "--with-parent", "--url", url]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
