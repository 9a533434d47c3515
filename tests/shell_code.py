"""What a block of shell commands says, word by word, and what of it does not exist."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.exceptions import TyperException

from livewall import settings
from livewall.cli import app

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# What comes with the system or with Supabase. Files of ours that they are given must exist.
OTHERS = {
    *("apt-get", "export", "install", "less", "pg_dump", "pg_restore", "pip", "psql", "python3"),
    *("runuser", "supabase", "systemctl", "useradd"),
}
# A page leaves out what only its reader has; long enough, and random enough, to be a secret.
LEFT_OUT = "left-out-0123456789-abcdefghijklmnopqrstuvwxyz"
HEAD_OF_LEDGER = "0" * 64


def commands(text: str) -> Iterator[list[str]]:
    """Return each command of a block in words, and those whose output another one takes."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in lexer:
            for inner in re.findall(r"\$\(([^()]+)\)", word):
                yield from commands(inner)
            if set(word) <= set("|&;"):
                yield words
                words = []
            else:
                words.append(word)
        yield words


def calls(text: str) -> Iterator[list[str]]:
    """Return what a block says to `livewall`."""
    for words in commands(text):
        rest = [word for word in words if not ASSIGNMENT.fullmatch(word)]
        if rest and Path(rest[0]).name == "livewall":
            yield rest[1:]


def assigned(text: str) -> dict[str, str]:
    """Return what a block sets, in the order in which it does."""
    found = [ASSIGNMENT.fullmatch(word) for words in commands(text) for word in words]
    return {match[1]: match[2] for match in found if match}


def wrong_with(text: str) -> list[str]:
    """Return what of a block bash, `livewall`, `make` or this repository does not know."""
    bash = ["/bin/bash", "-n"]
    parsed = subprocess.run(bash, input=text, capture_output=True, text=True, check=False)
    found = [parsed.stderr] if parsed.stderr else []
    found += [wrong for words in commands(text) if (wrong := _wrong_command(words))]
    ours = {name: value.replace("...", LEFT_OUT) for name, value in assigned(text).items()}
    try:
        read = settings.load if ours.get("LIVEWALL_ENV") == "production" else settings.read
        read(ours)
    except settings.SettingsError as error:
        found.append(str(error))
    return found


def _wrong_command(words: list[str]) -> str:
    rest = [word for word in words if not ASSIGNMENT.fullmatch(word)]
    if not rest:
        return ""
    program = Path(rest[0]).name
    if program == "livewall":
        return wrong_call(rest[1:])
    if program == "make":
        return "" if set(rest[1:]) <= TARGETS else f"no such target: {' '.join(rest)}"
    if program not in OTHERS:
        return f"nobody knows {program}"
    paths = [word for word in rest[1:] if word.startswith(("deploy/", "docs/", "requirements/"))]
    gone = [path for path in paths if not list(ROOT.glob(path))]
    return f"no such file: {' '.join(gone)}" if gone else ""


def wrong_call(words: list[str]) -> str:
    """Return why `livewall` would not take these words; nothing if it would."""
    command: Any = typer.main.get_command(app)
    rest = [HEAD_OF_LEDGER if word == "HASH" else word for word in words]
    if ">" in rest:  # what follows is a file
        del rest[rest.index(">") :]
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    try:
        command.make_context(command.name, rest)
    except TyperException as error:
        return f"{error} in {' '.join(words)}"
    return ""
