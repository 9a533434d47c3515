"""The settings as people read them: in `livewall config`, and in docs/configuration.md.

`python -m livewall.configuration` prints the page, and a test compares them.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import Meta

from livewall.settings import Settings, hints, is_secret, variable

HEAD = """\
# Configuration

Written by `python -m livewall.configuration` from `src/livewall/settings.py`.

Everything is an environment variable. `livewall config` shows each with its value and where it
comes from, secrets masked. An unknown variable that begins with `LIVEWALL_` is refused, and so is
a value that does not fit: a typing mistake is one line at the start, never a surprise later. Empty
text means: not set. In a file that systemd reads, comments stand on lines of their own; one behind
a value would be a part of it, and is refused.

A **secret** is masked wherever it is shown, and in no log. `LIVEWALL_ENV=production` refuses to
start with what the last column forbids; [production](production.md) has a whole set-up.

| variable | takes | default | what it is | in production |
| --- | --- | --- | --- | --- |
"""

TAIL = """
Those that need each other: `LIVEWALL_DIRECT_URL` needs `LIVEWALL_AUTHENTICATOR_URL`
([behind a pooler](operations.md#behind-pgbouncer)); `LIVEWALL_TURN_URL` needs
`LIVEWALL_TURN_SECRET`, or a user name and a password; `LIVEWALL_TURN_RELAY_ONLY` needs
`LIVEWALL_TURN_URL`; `LIVEWALL_PAYMENTS=stripe` needs [its three keys](payments.md#stripe).
"""


class Shown(msgspec.Struct, frozen=True):
    """One setting as `livewall config` shows it."""

    variable: str
    value: str
    source: Literal["environment", "default"]
    default: str
    description: str


def describe(settings: Settings, environ: Mapping[str, str]) -> list[Shown]:
    """Return every setting with secrets masked, in the order they are declared."""
    return [_shown(name, kind, settings, environ) for name, kind in hints().items()]


def _shown(name: str, kind: Any, settings: Settings, environ: Mapping[str, str]) -> Shown:
    value = _text(getattr(settings, name))
    return Shown(
        variable=variable(name),
        value="********" if value and is_secret(kind) else value,
        source="environment" if variable(name) in environ else "default",
        default=_text(getattr(Settings(), name)),
        description=_meta(kind).description or "",
    )


def _meta(kind: Any) -> Meta:
    return get_args(kind)[1]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def document() -> str:
    """Return docs/configuration.md."""
    rows = [_row(name, kind) for name, kind in hints().items()]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _row(name: str, kind: Any) -> str:
    meta = _meta(kind)
    secret = "**secret**; " if is_secret(kind) else ""
    default = _text(getattr(Settings(), name))
    cells = (
        f"`{variable(name)}`",
        _takes(kind),
        f"`{default}`" if default else "",
        secret + (meta.description or ""),
        str((meta.extra or {}).get("production", "")),
    )
    return f"| {' | '.join(cells)} |"


def _takes(kind: Any) -> str:
    base = get_args(kind)[0]
    choices = [f"`{choice}`" for choice in get_args(base) if isinstance(choice, str) and choice]
    if choices:
        return ", ".join(choices)
    return {bool: "1 or 0", int: _range(_meta(kind)), str: "text"}.get(base, "list")


def _range(meta: Meta) -> str:
    low, high = meta.ge, meta.le
    if low is None:
        return "whole number"
    return f"whole number from {low}" if high is None else f"{low} to {high}"


if __name__ == "__main__":
    print(document(), end="")
