"""The publish state as a streamer meets it, with the true rules: 60 s of silence, 5 s of linger.

    python -m bench.publish                all of it, about nine minutes
    python -m bench.publish wire losses    only these parts of: start, wire, losses

Progress goes to stderr; the last line is JSON. Exit code 1 if a limit is missed.
"""

import asyncio
import sys

from playwright.async_api import async_playwright

from bench.figures import Figure, finish
from bench.losses import loss_figures
from bench.product import running_product
from bench.start import start_figures
from bench.wire import wire_figures

PARTS = ("start", "wire", "losses")


async def measure(parts: set[str]) -> list[Figure]:
    """Run these parts, the last two on one product."""
    figures = await start_figures() if "start" in parts else []
    if not parts & {"wire", "losses"}:
        return figures
    async with running_product() as site, async_playwright() as playwright:
        if "wire" in parts:
            figures += await wire_figures(site)
        if "losses" in parts:
            figures += await loss_figures(site, playwright)
    return figures


def main(chosen: list[str]) -> None:
    """Run the chosen parts, or all."""
    unknown = set(chosen) - set(PARTS)
    if unknown:
        sys.exit(f"There is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    finish("publish", asyncio.run(measure(set(chosen or PARTS))))


if __name__ == "__main__":
    main(sys.argv[1:])
