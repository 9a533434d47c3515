"""Wallets and statements, and for the staff the health of the ledger and the audit log."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromQuery, QueryParameter

from livewall.db import SERVICE, Database
from livewall.routing import BeforeId, PageSize, SignedInCaller, TheServer, problems
from livewall.shapes import Person

# So many transactions are folded in one call: some tens of milliseconds.
FOLD_AT_ONCE = 5_000


class Wallet(msgspec.Struct, frozen=True):
    """What somebody has: coins to spend, coins owed (a debt freezes spending), coins held for
    approval, and what they earned. Everything that is pending is counted in.
    """

    coins: int
    debt: int
    is_frozen: bool
    held_coins: int
    earnings: int


class StatementEntry(msgspec.Struct, frozen=True):
    """One movement, with the balance after it."""

    transaction_id: int
    kind: str
    amount: int
    balance: int
    created_at: datetime
    source_id: UUID
    counterpart: Person | None
    title: str


class Statement(msgspec.Struct):
    """A page of a statement, newest first; `next` is the `cursor` of the page after."""

    entries: list[StatementEntry]
    next: str | None


class LedgerStatus(msgspec.Struct):
    """Whether everything posted is sealed, and the hash that seals it all."""

    head: str
    sealed_at: datetime | None
    transactions: int
    unsealed: int
    oldest_unsealed_seconds: float | None
    is_healthy: bool


class AuditEntry(msgspec.Struct):
    """Who did what to what. Without an `actor_id` it was the system; without an `actor` whoever it
    was has left. The `buyer` is there with a decision about a purchase, until they leave.
    """

    id: int
    at: datetime
    actor_id: UUID | None
    actor: Person | None
    action: str
    subject: str
    buyer: Person | None
    details: dict[str, object]


class AuditPage(msgspec.Struct):
    """A page of the audit log, newest first; `next` is the `before` of the page after."""

    entries: list[AuditEntry]
    next: int | None


class _Folded(msgspec.Struct):
    transactions: int


@get("/api/wallet", responses=problems("not_signed_in"))
async def get_wallet(person: SignedInCaller, server: TheServer) -> Wallet:
    """One's own wallet."""
    return await server.database.call(person, "my_wallet", Wallet)


@get("/api/wallet/statement", responses=problems("not_signed_in", "invalid_argument"))
async def get_statement(
    person: SignedInCaller,
    server: TheServer,
    currency: FromQuery[Literal["coins", "earnings"]] = "coins",
    cursor: Annotated[str | None, QueryParameter(max_length=20)] = None,
    limit: PageSize = 50,
) -> Statement:
    """Every movement of one's coins or earnings."""
    return await server.database.call(
        person,
        "list_statement",
        Statement,
        p_currency=currency,
        p_cursor=cursor,
        p_limit=limit,
    )


@get("/api/admin/ledger", responses=problems("not_signed_in", "not_allowed"))
async def get_ledger_status(person: SignedInCaller, server: TheServer) -> LedgerStatus:
    """The health of the ledger. Finance and admins only."""
    return await server.database.call(person, "ledger_status", LedgerStatus)


@get("/api/admin/audit", responses=problems("not_signed_in", "not_allowed"))
async def list_audit(
    person: SignedInCaller, server: TheServer, before: BeforeId = None, limit: PageSize = 50
) -> AuditPage:
    """What the staff decided and what raised an alarm. Finance and admins only."""
    return await server.database.call(
        person, "list_audit", AuditPage, p_before=before, p_limit=limit
    )


async def fold(database: Database) -> None:
    """Fold and seal everything that waits. Raises Refusal."""
    while True:
        folded = await database.call(SERVICE, "fold_ledger", _Folded, p_limit=FOLD_AT_ONCE)
        if folded.transactions < FOLD_AT_ONCE:
            return


ROUTES = [get_wallet, get_statement, get_ledger_status, list_audit]
