"""The parts of a running server, made once and handed to every route."""

import asyncio
import socket
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from livewall.bus.postgres import PostgresBus
from livewall.callers import Callers
from livewall.changes import Changes
from livewall.cluster import Cluster
from livewall.db import SERVICE, Database, open_database
from livewall.everywhere import Everywhere
from livewall.gift_batches import GiftBatches
from livewall.hub import Hub
from livewall.limits import Limiter, Recent
from livewall.payments import PaymentProvider, open_provider
from livewall.payments.settlement import Settlement
from livewall.settings import Settings
from livewall.watching import Presence


@dataclass(frozen=True)
class Limiters:
    """How often one may try: by subscriber (see addresses.py), by account, or by both.

    An account alone is a key for those whom it does not know (`known`): many addresses guess no
    more than one, and their guessing keeps nobody out who signed in from the same address before.
    What everybody hears of, or somebody else does, is counted by the account that does it.
    """

    guests: Limiter
    accounts: Limiter
    sign_ins: Limiter
    passwords: Limiter
    purchases: Limiter
    strangers: Limiter
    known: Recent
    edits: Limiter
    blocks: Limiter
    previews: Limiter
    leaves: Limiter
    idle_gifts: Limiter


@dataclass(frozen=True)
class Server:
    """What routes, the socket and the jobs share. `ending` is set once it has been told to end."""

    id: UUID
    settings: Settings
    database: Database
    callers: Callers
    hub: Hub
    cluster: Cluster
    presence: Presence
    everywhere: Everywhere
    gifts: GiftBatches
    limiters: Limiters
    provider: PaymentProvider | None
    settlement: Settlement
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def changes(self) -> Changes:
        """Where reports of changed streams go."""
        return self.presence.changes

    async def register(self) -> None:
        """Tell the database that a server started, and what the operator allows."""
        await self.database.call(SERVICE, "register_server_start", object, p_server_id=str(self.id))
        allowed: dict[str, object] = {"guests_may_go_live": not self.settings.production}
        await self.database.call(SERVICE, "configure", object, p_settings=allowed)


def assemble(settings: Settings) -> Server:
    """Make the parts; nothing connects or runs yet."""
    server_id = uuid4()
    database = open_database(settings)
    callers = Callers(settings, database)
    hub = Hub()
    bus = PostgresBus(database, bytes.fromhex(settings.derive("bus")), server_id)
    cluster = Cluster(server_id, f"{socket.gethostname()}:{settings.port}", bus)
    presence = Presence(database, hub, settings.seats, cluster.tell)
    provider = open_provider(settings, database)
    limiters = Limiters(
        guests=Limiter(rate=1, burst=60),
        accounts=Limiter(rate=0.2, burst=30),
        sign_ins=Limiter(rate=0.5, burst=30),
        passwords=Limiter(rate=0.1, burst=10),
        purchases=Limiter(rate=0.5, burst=30),
        strangers=Limiter(rate=0.1, burst=30),
        known=Recent(),
        edits=Limiter(rate=0.2, burst=10),
        blocks=Limiter(rate=0.2, burst=20),
        previews=Limiter(rate=1.5, burst=8),
        leaves=Limiter(rate=2, burst=40),
        # Of those under way, and of those that gave nothing: what is given costs coins.
        idle_gifts=Limiter(rate=2, burst=100),
    )
    return Server(
        id=server_id,
        settings=settings,
        database=database,
        callers=callers,
        hub=hub,
        cluster=cluster,
        presence=presence,
        everywhere=Everywhere(hub, callers, presence, cluster),
        gifts=GiftBatches(database),
        limiters=limiters,
        provider=provider,
        settlement=Settlement(database, provider),
    )
