"""What a check is: one function with an id, a title, why it matters and how to fix it.

    @check("P99", title="Moon", why="Tides.", fix="Wait.")
    async def moon(at: Site) -> Result: ...

A check says `failed` for what it saw to be wrong and `not_proven` for what can not be seen from
here; only what it saw to be right has passed.
"""

import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from livewall.code_catalog import Connection
from livewall.proof import Check as LedgerCheck
from livewall.settings import Settings

Status: TypeAlias = Literal["pass", "fail", "not_proven"]
Facts: TypeAlias = dict[str, object]


class Result(msgspec.Struct, frozen=True):
    """What a check saw: one line for people, the same as facts for programs.

    `next` is what to do now, where that is something else than the check's own fix.
    """

    status: Status
    evidence: str
    facts: Facts = {}
    next: str = ""


def passed(evidence: str, **facts: object) -> Result:
    """It was seen to be right."""
    return Result("pass", evidence, facts)


def failed(evidence: str, next_step: str = "", /, **facts: object) -> Result:
    """It was seen to be wrong."""
    return Result("fail", evidence, facts, next_step)


def not_proven(evidence: str, next_step: str = "", /, **facts: object) -> Result:
    """It can not be told from here."""
    return Result("not_proven", evidence, facts, next_step)


class NotProven(Exception):  # noqa: N818 - an answer, not a failure
    """Raised within a check that can not go on."""

    def __init__(self, evidence: str, next_step: str = "") -> None:
        super().__init__(evidence)
        self.next_step = next_step


class WrongError(Exception):
    """Raised within a check that saw something work as it must not."""


async def fetch(url: str) -> Mapping[str, str]:
    """Return the headers of an answer that went well. Raises httpx.HTTPError for any other."""
    import httpx  # noqa: PLC0415 - only one check needs it

    async with httpx.AsyncClient(timeout=5) as client:
        # A proxy alone answers 502, with headers of its own.
        return (await client.get(url)).raise_for_status().headers


def _space(folder: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(folder)
    return usage.total, usage.free


@dataclass
class Site:
    """The system under inspection, and what checks need to look at it.

    `admin` is the administrator's connection, `web` that of the server (role `authenticator`),
    None if it can not log in. `prove` recomputes the ledger, once however often it is asked.
    """

    settings: Settings
    admin: Connection
    web: Connection | None
    prove: Callable[[], Awaitable[list[LedgerCheck]]]
    head: str = ""
    newest_backup: Callable[[], datetime | None] = lambda: None
    fetch: Callable[[str], Awaitable[Mapping[str, str]]] = fetch
    space: Callable[[Path], tuple[int, int]] = _space
    is_embedded: bool = False


Examine: TypeAlias = Callable[[Site], Awaitable[Result]]


@dataclass(frozen=True)
class Check:
    """One item of the list. Its docstring says what it does."""

    id: str
    title: str
    why: str
    fix: str
    examine: Examine = field(repr=False)

    @property
    def how(self) -> str:
        """What it looks at, as one paragraph."""
        return " ".join((self.examine.__doc__ or "").split())


REGISTRY: dict[str, Check] = {}


def check(id: str, *, title: str, why: str, fix: str) -> Callable[[Examine], Examine]:  # noqa: A002
    """Put a function on the list."""

    def register(examine: Examine) -> Examine:
        assert id not in REGISTRY, id  # noqa: S101 - two checks of one id would hide one
        REGISTRY[id] = Check(id, title, why, fix, examine)
        return examine

    return register
