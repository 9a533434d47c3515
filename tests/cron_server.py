"""A server with Debian's pg_cron in it. What it can not do, 1.5 can: `lowered` SQL takes it all the
same, with schedules that it knows.
"""

import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from livewall import embedded
from livewall.embedded import Launch, Server
from livewall.sql_files import SQL_FOLDER
from tests.databases import DEBIAN, FAST, data_folder

BINARIES = DEBIAN / "15" / "bin"
LIBRARY = DEBIAN / "15" / "lib" / "pg_cron.so"
DATABASE = "scheduled"
WITH_CRON = FAST | {
    "shared_preload_libraries": "pg_cron",
    "cron.database_name": DATABASE,
    # As itself: by connections it would need everybody's password.
    "cron.use_background_workers": "on",
}


@dataclass
class CronServer:
    """A running server, and its database that pg_cron works in."""

    folder: Path
    server: Server

    @property
    def url(self) -> str:
        """The superuser's address of that database."""
        return self.server.url(DATABASE)

    def url_of(self, user: str) -> str:
        """Return somebody's address of it; their password is their name."""
        return self.server.url(DATABASE, user, user)

    def restart(self) -> None:
        """Stop and start: what is due @reboot is due."""
        embedded.stop(self.folder)
        self.server = _start(self.folder)


@contextmanager
def cron_server() -> Generator[CronServer]:
    """Start one; stop and delete it at the end."""
    if not LIBRARY.exists():
        pytest.fail(f"No {LIBRARY}: apt-get install postgresql-15-cron")
    with data_folder() as folder:
        yield CronServer(folder, _start(folder))


def _start(folder: Path) -> Server:
    return embedded.start(folder, Launch(bin_dir=BINARIES, parameters=WITH_CRON))


def lowered(folder: Path, *, schedule: str = "@reboot", without: str = "") -> Path:
    """Copy our SQL for pg_cron 1.4: the gate is open, each of our periods is `schedule`.

    `without` names a job that this release does not have.
    """
    shutil.copytree(SQL_FOLDER, folder)
    file = folder / "code" / "cron.sql"
    text = file.read_text()
    for old, new in (
        (r"ARRAY\[1, 5\]", "ARRAY[1, 4]"),
        (r"(?<=', )'\d+ seconds'", f"'{schedule}'"),
        (rf"\n +\('{without or 'no job'}', .*", ""),
    ):
        text, changed = re.subn(old, new, text)
        assert changed or (not without and "no job" in old), f"cron.sql has no {old} any more"
    file.write_text(text)
    return folder
