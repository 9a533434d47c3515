"""Buying coins: who may buy what, once, and what is kept of it."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.databases import Database, Person
from tests.sql.money import (
    CENTS,
    COINS,
    LARGE,
    PACK,
    buy,
    settle,
    wallet,
)
from tests.sql.world import World, refused, rows_read

INSERT = """
INSERT INTO coin_purchases (profile_id, platform, payment_provider, coin_amount, usd_amount)
VALUES (auth.uid(), 'web', 'sandbox', 1, 1)
"""
VELOCITY_INDEX = (
    "CREATE INDEX idx_coin_purchases_profile_purchased_at ON public.coin_purchases"
    " USING btree (profile_id, purchased_at)"
)


# -- S3


@pytest.mark.spec("S3")
async def test_one_sees_ones_own_purchases_and_writes_none(world: World) -> None:
    buyer, other = await world.people("buyer", "other")
    mine, _ = await buy(world, buyer), await buy(world, other)
    assert await world.sql(buyer, "SELECT id FROM coin_purchases") == [(UUID(mine["id"]),)]
    listed = await world.call(buyer, "list_my_purchases")
    assert (listed["purchases"], listed["next"]) == ([mine], None)
    assert await world.call(buyer, "get_my_purchase", p_purchase_id=mine["id"]) == mine
    with refused("LW004"):
        await world.call(other, "get_my_purchase", p_purchase_id=mine["id"])
    for who in ("anon", "service_role"):
        with refused("42501"):
            await world.sql(who, "SELECT 1 FROM coin_purchases")
    for statement in (
        INSERT,
        "UPDATE coin_purchases SET status = 'completed'",
        "UPDATE coin_purchases SET coin_amount = 1000000",
        "DELETE FROM coin_purchases",
        "TRUNCATE coin_purchases",
    ):
        for who in (buyer, "anon", "service_role"):
            with refused("42501"):
                await world.sql(who, statement)


@pytest.mark.spec("S3", "S26")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE coin_purchases SET coin_amount = coin_amount",
        "UPDATE coin_purchases SET usd_amount = 1",
        "UPDATE coin_purchases SET profile_id = gen_random_uuid()",
        "UPDATE coin_purchases SET purchased_at = now()",
        "DELETE FROM coin_purchases",
        "TRUNCATE coin_purchases CASCADE",
    ],
)
async def test_what_was_bought_stays_whoever_writes(world: World, statement: str) -> None:
    await buy(world, await world.person("buyer"))
    for role in ("livewall_admin", "livewall_owner"):
        async with world.admin.transaction():
            await world.admin.execute(f"SET LOCAL ROLE {role}")
            with refused("LW090"):
                async with world.admin.transaction():
                    await world.admin.execute(statement)


@pytest.mark.spec("S20")
async def test_the_guardrail_columns_are_as_specified(world: World) -> None:
    columns = await world.rows(
        "SELECT column_name, data_type, numeric_precision, numeric_scale, column_default"
        " FROM information_schema.columns WHERE table_name = 'coin_purchases'"
        " AND column_name = ANY ($1) ORDER BY column_name",
        ["max_purchase_limit", "requires_approval", "ip_address", "country_code", "user_agent"],
    )
    assert columns == [
        ("country_code", "text", None, None, None),
        ("ip_address", "inet", None, None, None),
        ("max_purchase_limit", "numeric", 10, 2, "50000.00"),
        ("requires_approval", "boolean", None, None, "false"),
        ("user_agent", "text", None, None, None),
    ]
    assert await world.rows(
        "SELECT pg_get_indexdef('idx_coin_purchases_profile_purchased_at'::regclass)"
    ) == [(VELOCITY_INDEX,)]


@pytest.mark.spec("S20", "S22")
async def test_the_velocity_check_reads_its_index(world: World) -> None:
    buyer = await world.person("buyer")
    await world.admin.execute(
        "INSERT INTO coin_purchases"
        " (profile_id, platform, payment_provider, coin_amount, usd_amount, purchased_at)"
        " SELECT $1, 'web', 'sandbox', 1, 1, private.clock() - (86400 + n) * interval '1 s'"
        " FROM generate_series(1, 3000) AS n",
        buyer.id,
    )
    await world.admin.execute("ANALYZE coin_purchases")
    before = await rows_read(world, "coin_purchases")
    await buy(world, buyer)
    # What is older than the window is not even looked at: the time is part of what is looked up.
    assert await rows_read(world, "coin_purchases") - before < 50


@pytest.mark.spec("S24")
async def test_address_country_and_browser_are_kept(world: World) -> None:
    buyer = await world.person("buyer")
    where: dict[str, Any] = {
        "p_ip_address": "2001:db8::7",
        "p_country_code": "de",
        "p_user_agent": "x" * 600,
    }
    await buy(world, buyer, **where)
    await settle(world, buyer, **where, p_metadata={"order": 7})
    rows = await world.rows(
        "SELECT host(ip_address), country_code, length(user_agent) FROM coin_purchases"
    )
    assert rows == [("2001:db8::7", "DE", 500)] * 2
    with refused("coin_purchases_country_is_iso"):
        await buy(world, buyer, p_country_code="GER")
    with refused("42501"):
        await world.sql("anon", "SELECT ip_address FROM coin_purchases")


# -- who may buy, and what


@pytest.mark.spec("D4")
@pytest.mark.abuse("A25")
async def test_coins_and_price_come_from_the_catalogue(world: World) -> None:
    buyer = await world.person("buyer")
    packs = await world.call("anon", "list_coin_packs")
    assert [pack for pack in packs if pack["id"] == PACK] == [
        {
            "id": PACK,
            "title": "700 coins",
            "coins": COINS,
            "usd_cents": CENTS,
            "platform": "web",
            "requires_approval": False,
        }
    ]
    assert [pack["id"] for pack in packs if pack["requires_approval"]] == [LARGE]
    purchase = await buy(world, buyer)
    assert (purchase["coin_amount"], purchase["usd_cents"]) == (COINS, CENTS)
    store = await buy(world, buyer, p_platform="ios")
    assert (store["coin_amount"], store["usd_cents"]) == (COINS, 1299)
    for tampered in ({"p_usd_amount": 1}, {"p_coin_amount": 1_000_000}):
        with refused("LW006"):
            await buy(world, buyer, PACK, **tampered)
    for pack, platform in (("coins_1", "web"), (LARGE, "ios"), (PACK, "console")):
        with refused("LW004"):
            await buy(world, buyer, pack, p_platform=platform)
    await world.admin.execute("UPDATE coin_packs SET is_active = false WHERE id = $1", PACK)
    with refused("LW004"):
        await buy(world, buyer)
    for statement in ("UPDATE coin_packs SET coins = 1", "DELETE FROM coin_packs"):
        with refused("42501"):
            await world.sql(buyer, statement)
    for who in (buyer, "anon"):
        with refused("42501"):
            await settle(world, buyer, by=who)


@pytest.mark.spec("D4")
async def test_guests_the_banned_and_strangers_can_not_buy(world: World) -> None:
    guest, troll = await world.person("visitor", guest=True), await world.person("troll")
    await world.call(await world.moderator(), "ban_profile", p_name="troll", p_reason="spam")
    stranger = Person(UUID(int=9), "stranger")
    for who, code in ((guest, "LW079"), (troll, "LW002"), (stranger, "LW004")):
        with refused(code):
            await buy(world, who)
    with refused("LW004"):
        await settle(world, stranger)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A27")
@pytest.mark.parametrize(
    ("coins", "dollars", "code"),
    [
        (0, "1", "LW078"),
        (-5, "1", "LW078"),
        (None, "1", "LW078"),
        (1.5, "1", "22P02"),
        ("NaN", "1", "22P02"),
        (2**63, "1", "22003"),
        (5, "0", "LW078"),
        (5, "-1", "LW078"),
        (5, "NaN", "LW078"),
        (5, "Infinity", "LW078"),
        (5, "1.001", "LW078"),
        (5, "100000000", "LW078"),
        (5, None, "LW078"),
    ],
)
async def test_amounts_that_are_none_are_refused(
    world: World, coins: object, dollars: object, code: str
) -> None:
    buyer = await world.person("buyer")
    with refused(code):
        await settle(world, buyer, p_coin_amount=coins, p_usd_amount=dollars)
    assert await world.rows("SELECT count(*) FROM coin_purchases") == [(0,)]


@pytest.mark.abuse("A27")
async def test_coins_up_to_the_largest_number_do_not_overflow_unnoticed(world: World) -> None:
    buyer = await world.person("buyer")
    await settle(world, buyer, p_coin_amount=2**63 - 1)
    with refused("22003"):
        await settle(world, buyer, p_coin_amount=1)
    assert (await wallet(world, buyer))["coins"] == 2**63 - 1
    assert await world.rows("SELECT count(*) FROM coin_purchases") == [(1,)]


# -- S26: once


@pytest.mark.spec("S26")
async def test_the_same_key_is_the_same_purchase_and_other_content_is_refused(
    world: World,
) -> None:
    buyer, other = await world.people("buyer", "other")
    first = await buy(world, buyer, p_idempotency_key="a key of mine".replace(" ", "-"))
    for _ in range(10):
        assert await buy(world, buyer, p_idempotency_key="a-key-of-mine") == first
    for pack, platform in ((LARGE, "web"), (PACK, "ios")):
        with refused("LW075"):
            await buy(world, buyer, pack, p_platform=platform, p_idempotency_key="a-key-of-mine")
    assert (await buy(world, other, p_idempotency_key="a-key-of-mine"))["id"] != first["id"]
    for bad in (None, "", "short", "with space", "ümlauts-", "x" * 101):
        with refused("LW005"):
            await buy(world, buyer, p_idempotency_key=bad)


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21", "A23")
async def test_a_payment_is_recorded_once_by_event_and_by_payment(world: World) -> None:
    buyer, other = await world.people("buyer", "other")
    ids: dict[str, Any] = {"p_provider_event_id": "event", "p_provider_payment_id": "payment"}
    first = await settle(world, buyer, **ids)
    assert await settle(world, buyer, **ids) == first
    assert await settle(world, buyer, **(ids | {"p_provider_event_id": "another"})) == first
    for changed in (
        {"p_provider_payment_id": "another"},
        {"p_coin_amount": COINS + 1},
        {"p_usd_amount": "9.98"},
    ):
        with refused("LW076"):
            await settle(world, buyer, **(ids | changed))
    with refused("LW076"):
        await settle(world, other, **ids)
    for missing in ("p_provider_event_id", "p_provider_payment_id"):
        with refused("LW005"):
            await settle(world, buyer, **(ids | {missing: ""}))
    assert (await wallet(world, buyer))["coins"] == COINS
    assert (await wallet(world, other))["coins"] == 0


@pytest.mark.spec("S26")
@pytest.mark.abuse("A21")
async def test_the_same_call_ten_times_at_once_is_one_purchase(database: Database) -> None:
    buyer = await database.person("buyer")
    connections = [await database.as_role("service_role") for _ in range(10)]
    created = await asyncio.gather(
        *(
            connection.fetchval(
                "SELECT public.create_coin_purchase($1, $2, 'web', 'sandbox', 'one-key-for-all')"
                " ->> 'id'",
                buyer.id,
                PACK,
            )
            for connection in connections
        )
    )
    settled = await asyncio.gather(
        *(
            connection.fetchval(
                "SELECT public.process_coin_purchase($1, 'web', 'sandbox', 'e', 'p', 700, 9.99)"
                " ->> 'id'",
                buyer.id,
            )
            for connection in connections
        )
    )
    assert (len(set(created)), len(set(settled))) == (1, 1)
    admin = await database.admin()
    assert await admin.fetchval("SELECT count(*) FROM coin_purchases") == 2
    balance = "SELECT balance FROM private.ledger_accounts WHERE kind = 'wallet'"
    assert await admin.fetchval(balance) == COINS


@pytest.mark.spec("D4")
async def test_purchases_are_listed_in_pages_newest_first(world: World) -> None:
    buyer = await world.person("buyer")
    made: list[str] = []
    for _ in range(5):
        made.append((await buy(world, buyer))["id"])
        await world.advance(60)
    seen: list[str] = []
    before = None
    for _ in range(3):
        page = await world.call(buyer, "list_my_purchases", p_before=before, p_limit=2)
        seen += [purchase["id"] for purchase in page["purchases"]]
        before = page["next"]
    assert (seen, before) == (made[::-1], None)
