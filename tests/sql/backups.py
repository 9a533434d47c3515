"""Backups as the tests make them: a history of money worth keeping, and manifests that lie."""

import msgspec

from livewall import backup
from livewall.backup import Backup
from livewall.sql_files import read_folder, statements
from tests.sql import money
from tests.sql.world import World

SETTINGS = {"LIVEWALL_SECRET": "a secret of at least thirty-two bytes", "LIVEWALL_PAYMENTS": "none"}


async def history(world: World) -> None:
    """Purchases, one of them held, and gifts: some sealed, some that wait."""
    fan, streamer = await money.rich_fan(world)
    await money.paid(world, fan)
    await money.give_coins(world, streamer, 10)
    await money.gift(world, fan, streamer, "heart")
    await money.fold(world)
    await money.held(world, streamer)
    await money.gift(world, fan, streamer)
    await as_shipped(world)


async def as_shipped(world: World) -> None:
    """Put the clock back that we ship: a restore makes it, or takes another for a change."""
    made = "CREATE FUNCTION private.clock()"
    [clock] = [s for s in statements(read_folder().migrations[0].file.text) if made in s]
    await world.admin.execute(clock.replace("CREATE", "CREATE OR REPLACE", 1))
    await world.admin.execute("DROP TABLE private.test_clock")


async def settled_history(world: World) -> None:
    """A history with nothing that waits, as `ledger verify` wants it."""
    await history(world)
    await money.fold(world)


def rewrite(made: Backup, **changes: object) -> None:
    """Have a manifest say something else."""
    said = msgspec.json.decode((made.folder / backup.MANIFEST).read_bytes())
    (made.folder / backup.MANIFEST).write_bytes(msgspec.json.encode(said | changes))
