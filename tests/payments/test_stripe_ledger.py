"""What Stripe reports of one payment, in its own words, and what that does to balances."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.databases import Database
from tests.payments.conftest import stripe_at
from tests.payments.remote import Remote
from tests.payments.test_stripe_calls import intent
from tests.payments.test_stripe_events import body_of, signed
from tests.server.money import bought, eventually
from tests.server.test_gifts import give
from tests.server.world import Json, Live, Visitor, serving, settings_for

# 1,400 coins for $19.99, of which $5.00 go back: 350 coins, rounded down.
PACK, BOUGHT, LEFT, AURORA = "coins_1400", 1400, 1050, 500
State = tuple[str, int, int]


@pytest_asyncio.fixture
async def shop(database: Database, there: Remote) -> AsyncGenerator[Live]:
    """A server that sells through Stripe, whose part the test plays."""
    there.say((200, intent("requires_payment_method")))
    async with serving(settings_for(database, **stripe_at(there.url)), database) as live:
        yield live


async def _hears(shop: Live, event: str) -> None:
    """Deliver a fixture, twice, as Stripe may."""
    body = body_of(event)
    http = shop.visitor().http
    for is_new in (True, False):
        answer = await http.post("/webhooks/stripe", content=body, headers=signed(body))
        assert (answer.status_code, answer.json()) == (200, {"is_new": is_new}), event


async def _state(buyer: Visitor, purchase: Json) -> State:
    """The purchase's status, and the buyer's coins and debt."""
    found = (await buyer.http.get(f"/api/purchases/{purchase['id']}")).json()
    wallet = (await buyer.http.get("/api/wallet")).json()
    return found["status"], wallet["coins"], wallet["debt"]


async def _acted_on(shop: Live, events: int) -> None:
    """Wait until so many events are applied: only then does an unchanged balance say something."""
    admin = await shop.database.admin()
    applied = "SELECT count(*) FROM private.payment_events WHERE outcome = 'applied'"
    await eventually(lambda: admin.fetchval(applied), lambda found: found == events)


SPENT = LEFT - AURORA
START: list[tuple[str, State]] = [
    ("payment_intent.succeeded", ("completed", BOUGHT, 0)),
    ("charge.succeeded", ("completed", BOUGHT, 0)),
    ("refund.created", ("completed", BOUGHT, 0)),
    ("refund.updated", ("completed", LEFT, 0)),
]
OPENED: list[tuple[str, State]] = [
    ("charge.dispute.created", ("disputed", 0, AURORA)),
    ("charge.dispute.funds_withdrawn", ("disputed", 0, AURORA)),
    ("charge.dispute.updated", ("disputed", 0, AURORA)),
]
WON: list[tuple[str, State]] = [
    ("charge.dispute.closed-won", ("completed", SPENT, 0)),
    ("charge.dispute.funds_reinstated", ("completed", SPENT, 0)),
]
LOST: list[tuple[str, State]] = [("charge.dispute.closed", ("dispute_lost", 0, AURORA))]


@pytest.mark.spec("D4")
@pytest.mark.spec("S26")
@pytest.mark.abuse("A28")
@pytest.mark.abuse("A29")
@pytest.mark.parametrize("end", [WON, WON[1:], LOST], ids=["won", "reinstated", "lost"])
async def test_a_payment_refunded_in_part_then_disputed(
    shop: Live, end: list[tuple[str, State]]
) -> None:
    ada, bob = await shop.account("ada"), await shop.account("bob")
    _, stream_id = await bob.go_live()
    purchase = await bought(ada, PACK)
    for told, (event, expected) in enumerate([*START, *OPENED, *end], start=1):
        if event == OPENED[0][0]:
            # Spent, so that the dispute finds fewer coins than it takes.
            assert (await give(ada, bob, stream_id, "aurora")).status_code == 201
        await _hears(shop, event)
        await _acted_on(shop, told)
        assert await _state(ada, purchase) == expected, event
    assert (await bob.http.get("/api/wallet")).json()["earnings"] == 350, "not the streamer's loss"
    admin = await shop.database.admin()
    await admin.execute("SELECT public.fold_ledger()")
    async with admin.transaction(isolation="repeatable_read"):
        checks = await admin.fetch("SELECT * FROM private.verify_ledger(NULL)")
    assert [check["check_name"] for check in checks if not check["is_ok"]] == []
