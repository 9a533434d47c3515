"""What a new database has: `expected.json`, made from the packaged SQL.

    python -m livewall.preflight expected > src/livewall/preflight/expected.json

A test keeps it equal. It is the same on every PostgreSQL from 15 to 18, whoever the administrator
is and however often it came out of a dump, so a live database is compared with it without a second
one. Functions stand there as digests: their text is in `sql/code`.
"""

import asyncio
import json
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from livewall import embedded
from livewall.administrator import connected
from livewall.code_catalog import Connection
from livewall.migrate import migrate
from livewall.preflight import kept
from livewall.preflight.printed import flat

EXPECTED = Path(__file__).with_name("expected.json")
QUERY = Path(__file__).with_name("expected.sql")

Schema: TypeAlias = dict[str, str]


async def read_definitions(connection: Connection) -> Schema:
    """Return what a database has: `kind identity` -> its definition."""
    leave_out = await kept.schema(connection)
    async with connection.transaction():
        path = await connection.fetchval("SELECT current_setting('search_path')")
        await connection.execute("SET LOCAL search_path = ''")
        rows = await connection.fetch(QUERY.read_text(encoding="utf-8"), leave_out)
        await connection.execute("SELECT set_config('search_path', $1, true)", path)
    return {f"{row['kind']} {row['identity']}": _definition(row["definition"]) for row in rows}


def _definition(text: str) -> str:
    """Return the definition; of plpgsql it is the very text, of all else what was printed."""
    return text if text.startswith("plpgsql ") else flat(text)


def comparable(definitions: Schema) -> Schema:
    """Return the definitions as expected.json has them."""
    return {
        name: sha256(text.encode()).hexdigest()[:16] if name.startswith("function ") else text
        for name, text in definitions.items()
    }


async def read_schema(connection: Connection) -> Schema:
    """Return what a database has, as expected.json has it."""
    return comparable(await read_definitions(connection))


def read_expected() -> Schema:
    """Return what this version of the code expects."""
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


def document(schema: Schema) -> str:
    """Return expected.json: one line an item, so that a change of the SQL is a small one here."""
    return json.dumps(schema, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


def fresh() -> Schema:
    """Return what a new database has, from one made for it."""
    with tempfile.TemporaryDirectory(prefix="livewall-expected-") as folder:
        Path(folder).chmod(0o711)  # the server may run as another account
        data = Path(folder) / "data"
        try:
            with embedded.running(data, embedded.Launch()) as server:
                return asyncio.run(_migrated_schema(server.url()))
        finally:
            embedded.destroy(data)


async def _migrated_schema(url: str) -> Schema:
    await migrate(url)
    async with connected(url) as connection:
        return await read_schema(connection)
