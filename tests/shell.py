"""The command `livewall` for tests: run here, because a new Python takes a second to start."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

from livewall import cli
from tests.databases import Database


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Shell:
    """Runs the command with an environment of its own."""

    def __init__(self, **settings: str) -> None:
        quiet = {"LIVEWALL_OPEN": "0", "LIVEWALL_DEMO": "0"}
        self.environment = {**os.environ, **quiet, **settings}

    def run(
        self, *arguments: str, said: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, whatever that is, in a thread: a command has an event loop of its own.

        `said` is what a script says to it, COLUMNS the width of a terminal it prints to.
        """
        out, err = _Terminal() if "COLUMNS" in settings else io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment | settings),
            patch.object(sys, "argv", ["livewall", *arguments]),
            patch.object(sys, "stdin", io.StringIO(said)),
            patch("livewall.cli.signal.signal"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            ThreadPoolExecutor(1) as thread,
        ):
            code = thread.submit(_exit_code).result(120)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def typed(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run to the end as a process."""
        return subprocess.run(
            [sys.executable, "-m", "livewall", *arguments],
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, *arguments: str, **settings: str) -> str:
        """Run, succeed, and return what was printed."""
        result = self.run(*arguments, **settings)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    def watched(self, columns: int, *arguments: str) -> str:
        """Run in a terminal so wide, and return what it shows."""
        result = self.run(*arguments, COLUMNS=str(columns))
        assert result.returncode == 0, result.stderr
        return re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)

    def read(self, *arguments: str) -> Any:
        """Run with --json and return it."""
        return json.loads(self.ok(*arguments, "--json"))

    def decoded(self, result: subprocess.CompletedProcess[str]) -> Any:
        """Return the JSON that a command printed, however it ended."""
        return json.loads(result.stdout)

    def refused(self, *arguments: str, said: str = "", **settings: str) -> str:
        """Run, fail with one line, and return it."""
        result = self.run(*arguments, said=said, **settings)
        assert result.returncode == 1, result.stdout
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("livewall: ")
        return result.stderr


def on(database: Database, folder: Path, **settings: str) -> Shell:
    """Return the command on a test's own database."""
    return Shell(
        DATABASE_URL=database.admin_url,
        LIVEWALL_AUTHENTICATOR_URL=database.authenticator_url,
        LIVEWALL_DATA_DIR=str(folder),
        **settings,
    )


def _exit_code() -> int:
    """Run the command; return what the process would end with."""
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
