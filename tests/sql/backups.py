"""Backups as the tests make them: a history of money worth keeping, and manifests that lie."""

import msgspec

from livewall import backup
from livewall.backup import Backup
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


async def settled_history(world: World) -> None:
    """A history with nothing that waits, as `ledger verify` wants it."""
    await history(world)
    await money.fold(world)


def rewrite(made: Backup, **changes: object) -> None:
    """Have a manifest say something else."""
    said = msgspec.json.decode((made.folder / backup.MANIFEST).read_bytes())
    (made.folder / backup.MANIFEST).write_bytes(msgspec.json.encode(said | changes))
