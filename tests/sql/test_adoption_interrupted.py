"""A move that is cut off, at any moment: all of it happened, or nothing did, and it says so."""

import asyncio
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from livewall.adoption import adopt
from livewall.code_catalog import Connection
from livewall.sql_files import MigrationError
from tests.databases import Database
from tests.sql.previous import EVERYTHING, failing, settle
from tests.waiting import until

WAITING = """
SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
PATIENCE_SECONDS = 60.0


async def _loses_the_answer_to_commit(
    socket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry a connection both ways until it was asked to commit, and has."""
    far_reader, far_writer = await asyncio.open_unix_connection(socket)
    committing = False

    async def ask() -> None:
        nonlocal committing
        while data := await reader.read(65_536):
            committing = data[5:] == b"COMMIT;\0"
            far_writer.write(data)
        far_writer.close()

    async def answer() -> None:
        while data := await far_reader.read(65_536):
            if committing:
                break
            writer.write(data)
        writer.transport.abort()

    await asyncio.gather(ask(), answer())


@pytest.mark.spec("S28")
async def test_a_connection_lost_at_the_very_end_is_not_said_to_have_changed_nothing(
    empty_database: Database, tmp_path: Path
) -> None:
    await settle(await empty_database.admin(), 15)
    parts = urlsplit(empty_database.admin_url)
    folder, port = (parse_qs(parts.query)[name][0] for name in ("host", "port"))
    carry = partial(_loses_the_answer_to_commit, f"{folder}/.s.PGSQL.{port}")
    near = urlunsplit(parts._replace(query=f"host={tmp_path}&port={port}"))
    async with await asyncio.start_unix_server(carry, tmp_path / f".s.PGSQL.{port}"):
        with pytest.raises(MigrationError, match="Run this again: it does it, or says that it is"):
            await adopt(near, apply=True)
    assert (await adopt(empty_database.admin_url, apply=True)).outcome == "adopted before"


async def _waiting(admin: Connection) -> int:
    """Wait until somebody waits for a lock; return their process."""

    async def waits() -> bool:
        return await admin.fetchval(WAITING) is not None

    await until(waits, PATIENCE_SECONDS, "somebody waits for a lock")
    return await admin.fetchval(WAITING)


@pytest.mark.spec("S28")
async def test_a_move_that_is_cut_off_leaves_nothing_and_runs_again(
    empty_database: Database,
) -> None:
    url, admin, other = (
        empty_database.admin_url,
        await empty_database.admin(),
        await empty_database.admin(),
    )
    await settle(admin, 15)
    before = await admin.fetchval(EVERYTHING)
    # The old application still has accounts open: the move has set the tables aside, and waits.
    async with other.transaction():
        await other.execute("LOCK TABLE auth.users IN ROW EXCLUSIVE MODE")
        moving = asyncio.create_task(adopt(url, apply=True))
        await admin.execute(f"SELECT pg_terminate_backend({await _waiting(admin)})")
        with pytest.raises(MigrationError):
            await moving
    assert await admin.fetchval(EVERYTHING) == before

    async with other.transaction():
        await other.execute("SELECT FROM gifts LIMIT 1")
        with pytest.raises(MigrationError, match="stop the old application"):
            await adopt(url, apply=True)
    assert (await adopt(url, apply=True)).outcome == "adopted"
    assert await failing(empty_database) == []
