"""Named ways to damage the SQL, each with the test that has to notice.

An edit names text of one SQL file; the function, policy or trigger around it is created again with
that text replaced. A statement is simply run. Both run as the owner of the schema.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from livewall.sql_files import SQL_FOLDER

Check = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Mutation:
    """What is broken, how, and the test that turns red; `arguments` are the test's parameters."""

    name: str
    damage: str
    red: Check
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


def edit(file: str, *changes: tuple[str, str]) -> str:
    """Return the statements that recreate one object of a code file with its text changed.

    Raises ValueError if the text is not there, so that a mutation cannot quietly go stale.
    """
    text = (SQL_FOLDER / f"{file}.sql").read_text(encoding="utf-8")
    old = changes[0][0]
    if old not in text:
        raise ValueError(f"{file}.sql does not say {old!r} any more")
    start = text.rindex("\nCREATE ", 0, text.index(old)) + 1
    block = text[start : start + _length(text[start:])]
    for before, after in changes:
        if block.count(before) != 1:
            raise ValueError(f"{file}.sql says {before!r} {block.count(before)} times there")
        block = block.replace(before, after)
    return _drop(block) + block.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def _length(text: str) -> int:
    """Return where the first statement of a text ends."""
    head = text[: text.index(";")]
    end = "\n$$;" if "$$" in head else "\nEND;" if "BEGIN ATOMIC" in head else ";\n"
    return text.index(end) + len(end)


def _drop(block: str) -> str:
    """Return what has to go before a policy or a trigger can be created again."""
    words = block.split()
    if words[1] not in ("POLICY", "TRIGGER"):
        return ""
    return f"DROP {words[1]} {words[2]} ON {words[words.index('ON') + 1]};\n"


def everybody(policy: str, table: str, clause: str) -> str:
    """Return a statement that lets a policy pass every row."""
    return f"ALTER POLICY {policy} ON public.{table} {clause}"
