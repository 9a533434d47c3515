"""Debian's Chromium with a camera that is not there: how it is started, and how it is killed."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.async_api import Browser, Playwright

EXECUTABLE = "/usr/bin/chromium"
# No autoplay policy here: what a browser allows a page after a reload is part of what is tested.
FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
)
# With this one no permission is given by itself: the page meets what the test says.
ASKING = "--use-fake-ui-for-media-stream"


@dataclass(frozen=True)
class Chromium:
    """One browser process with its helpers, recognised by a mark on its command line."""

    browser: Browser
    mark: str

    def kill(self) -> None:
        """End it and its helpers as a crash or a pulled plug does: without a word."""
        for process in self._processes():
            process.kill()

    def _processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if self.mark in process.cmdline():
                    found += [process, *process.children(recursive=True)]
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


async def start_chromium(
    playwright: Playwright, *, asks: bool = False, film: Path | None = None
) -> Chromium:
    """Start a browser. With `asks` the camera is not given to every page by itself.

    `film` is a file of JPEG pictures that the camera shows, instead of Chromium's green disc.
    """
    mark = f"--livewall-test={secrets.token_hex(8)}"
    flags = [flag for flag in FLAGS if not (asks and flag == ASKING)]
    if film is not None:
        flags.append(f"--use-file-for-fake-video-capture={film}")
    browser = await playwright.chromium.launch(
        executable_path=EXECUTABLE,
        args=[*flags, mark],
        # A quiet machine has no sound device; Playwright mutes, and muted pages may autoplay.
        ignore_default_args=["--mute-audio"],
    )
    return Chromium(browser, mark)
