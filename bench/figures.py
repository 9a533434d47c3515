"""What a bench found: shown while it runs, and one JSON line at the end."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measured quantity. It holds if its median is not above `limit`; None: no limit is set.

    With `is_bound` no single value may be above the limit; with `at_least` it is a floor.
    """

    name: str
    unit: str
    limit: float | None
    values: tuple[float, ...]
    is_bound: bool = False
    at_least: bool = False

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        if self.at_least:
            return self.median >= self.limit
        return (max(self.values) if self.is_bound else self.median) <= self.limit

    def line(self) -> str:
        """Say it in one line."""
        word = "at least" if self.at_least else "limit"
        limit = "" if self.limit is None else f" ({word} {self.limit:g})"
        verdict = "" if self.holds else "  MISSED"
        return (
            f"{self.name}: median {self.median:g} {self.unit}, "
            f"{min(self.values):g} to {max(self.values):g}, n={len(self.values)}{limit}{verdict}"
        )


def say(words: str) -> None:
    """Show progress, beside the result."""
    print(words, file=sys.stderr, flush=True)


def shown(figure: Figure) -> Figure:
    """Show a figure as soon as it is known."""
    say(f"  {figure.line()}")
    return figure


def finish(bench: str, figures: Sequence[Figure]) -> None:
    """Print the JSON line; exit with code 1 if a limit was missed."""
    found = [
        {
            "name": figure.name,
            "unit": figure.unit,
            "limit": figure.limit,
            "median": figure.median,
            "values": figure.values,
            "holds": figure.holds,
        }
        for figure in figures
    ]
    machine = {"cores": os.cpu_count(), "system": platform.platform(terse=True)}
    load = round(os.getloadavg()[1], 1)
    print(json.dumps({"bench": bench, "machine": machine, "load": load, "figures": found}))
    if not all(figure.holds for figure in figures):
        sys.exit(1)
