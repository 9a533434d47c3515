"""Limit, velocity and threshold: when a purchase is created, and when its money arrives."""

import asyncio
from typing import Literal

import pytest

from tests.sql.money import (
    CENTS,
    COINS,
    DAY,
    LARGE,
    PACK,
    attach,
    audit,
    authorized,
    buy,
    buy_for,
    captured,
    configure,
    fact,
    fold,
    key,
    look_up,
    outcome,
    payment_id,
    process,
    report,
    settle,
    staff,
    verify,
    wallet,
)
from tests.sql.world import World, refused

# -- S21, S23, A31


@pytest.mark.spec("S21", "S23")
@pytest.mark.abuse("A31")
@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        ("25000.00", False),
        ("25000.01", True),
        ("50000.00", True),
        ("50000.01", "LW070"),
    ],
)
async def test_limit_and_threshold_are_exact_to_the_cent(
    world: World, dollars: str, expected: object
) -> None:
    one, other = await world.people("one", "other")
    if expected == "LW070":
        with refused("LW070"):
            await buy_for(world, one, dollars)
        with refused("LW070"):
            await settle(world, other, p_usd_amount=dollars, p_coin_amount=1000)
        assert await world.rows("SELECT count(*) FROM coin_purchases") == [(0,)]
        return
    created = await buy_for(world, one, dollars)
    settled = await settle(world, other, p_usd_amount=dollars, p_coin_amount=1000)
    assert created["requires_approval"] == settled["requires_approval"] == expected
    assert settled["status"] == ("held" if expected else "completed")
    assert (await wallet(world, other))["coins"] == (0 if expected else 1000)
    assert await world.rows("SELECT DISTINCT max_purchase_limit::text FROM coin_purchases") == [
        ("50000.00",)
    ]


@pytest.mark.spec("S21", "S22", "S23", "D7")
async def test_the_rules_are_settings_with_a_trail(world: World) -> None:
    buyer, clerk, boss = (
        await world.person("buyer"),
        await staff(world),
        await staff(world, "boss", "admin"),
    )
    before = await world.call(clerk, "get_purchase_settings")
    assert before == {
        "limit_cents": 5_000_000,
        "threshold_cents": 2_500_000,
        "velocity": 5,
        "daily_threshold_cents": None,
        "streamer_share_percent": 70,
        "raises_apply_at": None,
        "in_force": {
            "limit_cents": 5_000_000,
            "threshold_cents": 2_500_000,
            "daily_threshold_cents": None,
        },
    }
    changes = {"limit_cents": 1000, "threshold_cents": 500, "velocity": 2}
    lower = {"limit_cents": 1000, "threshold_cents": 500, "daily_threshold_cents": None}
    assert await configure(world, boss, **changes) == before | changes | {"in_force": lower}
    with refused("LW070"):
        await buy_for(world, buyer, "10.01")
    held = await buy_for(world, buyer, "10.00")
    assert held["requires_approval"]
    assert not (await buy_for(world, buyer, "5.00"))["requires_approval"]
    with refused("LW071"):
        await buy_for(world, buyer, "1.00")
    assert await world.rows("SELECT DISTINCT max_purchase_limit::text FROM coin_purchases") == [
        ("10.00",)
    ]
    trail = await audit(world, "money_settings_changed")
    assert len(trail) == 1
    [(actor, subject, details)] = trail
    assert (actor, subject, details["reason"]) == (
        boss.id,
        "money_settings",
        "the risk has changed",
    )
    assert (details["before"]["purchase_limit"], details["after"]["purchase_limit"]) == (50000, 10)
    await world.admin.execute("UPDATE private.money_settings SET purchases_per_minute = 3")
    assert [row[0] for row in await audit(world, "money_settings_changed")] == [boss.id, None]
    with refused("LW090"):
        await world.admin.execute("DELETE FROM private.money_settings")


@pytest.mark.spec("S21")
async def test_only_admins_change_the_rules_and_say_why(world: World) -> None:
    buyer, clerk, boss = (
        await world.person("buyer"),
        await staff(world),
        await staff(world, "boss", "admin"),
    )
    for who in (buyer, clerk):
        with refused("LW003"):
            await configure(world, who, limit_cents=1)
    with refused("LW003"):
        await world.call(buyer, "get_purchase_settings")
    with refused("LW077"):
        await world.call(boss, "configure_purchases", p_changes={"velocity": 9}, p_reason=" ")
    for changes in ({"limit": 1}, {"raises_apply_at": None}, [1], None, 7):
        with refused("LW006"):
            await world.call(boss, "configure_purchases", p_changes=changes, p_reason="why not")
    for name, value, column, rule in (
        ("limit_cents", 0, "purchase_limit", "limit_positive"),
        ("limit_cents", -1, "purchase_limit", "limit_positive"),
        ("threshold_cents", -1, "approval_threshold", "threshold_not_negative"),
        ("daily_threshold_cents", -1, "daily_threshold", "daily_threshold_not_negative"),
        ("velocity", 0, "purchases_per_minute", "velocity_positive"),
        ("streamer_share_percent", 101, "streamer_share_percent", "share_is_a_percentage"),
    ):
        with refused("LW087"):
            await configure(world, boss, **{name: value})
        with refused(f"money_settings_{rule}"):
            await world.admin.execute(f"UPDATE private.money_settings SET {column} = {value}")
    assert await audit(world, "money_settings_changed") == []


@pytest.mark.spec("S21")
async def test_two_admins_change_two_rules_at_once(world: World) -> None:
    bosses = [await staff(world, name, "admin") for name in ("boss", "other")]
    first, second = [await world.database.as_person(boss) for boss in bosses]
    change = "SELECT public.configure_purchases($1, 'the risk has changed')"
    async with first.transaction():
        await first.execute(change, '{"velocity": 9}')
        changing = asyncio.create_task(second.execute(change, '{"threshold_cents": 100}'))
        await asyncio.sleep(0.3)
    await changing
    rules = await world.call(bosses[0], "get_purchase_settings")
    assert (rules["velocity"], rules["threshold_cents"]) == (9, 100)


# -- S22, A30


@pytest.mark.spec("S22")
async def test_a_sixth_purchase_within_a_minute_is_refused(world: World) -> None:
    buyer, other = await world.people("buyer", "other")
    await buy(world, buyer)
    await world.advance(30)
    for _ in range(2):
        await buy(world, buyer)
        await settle(world, buyer)
    with refused("LW071"):
        await buy(world, buyer)
    with refused("LW071"):
        await settle(world, buyer)
    await buy(world, other)
    await world.advance(29.999)
    with refused("LW071"):
        await buy(world, buyer)
    await world.advance(0.001)
    await buy(world, buyer)
    with refused("LW071"):
        await buy(world, buyer)


@pytest.mark.spec("S22", "S26")
@pytest.mark.abuse("A30")
async def test_of_twenty_purchases_at_once_exactly_five_pass(world: World) -> None:
    buyer = await world.person("buyer")
    connections = [await world.database.as_role("service_role") for _ in range(20)]
    results = await asyncio.gather(
        *(
            connection.execute(
                "SELECT public.create_coin_purchase($1, $2, 'web', 'sandbox', $3)",
                buyer.id,
                PACK,
                key(),
            )
            if number % 2
            else connection.execute(
                "SELECT public.process_coin_purchase($1, 'web', 'sandbox', $2, $2, 700, 9.99)",
                buyer.id,
                payment_id(),
            )
            for number, connection in enumerate(connections)
        ),
        return_exceptions=True,
    )
    refusals = [error for error in results if isinstance(error, BaseException)]
    assert len(refusals) == 15, refusals
    assert {getattr(error, "sqlstate", None) for error in refusals} == {"LW071"}
    assert await world.rows("SELECT count(*) FROM coin_purchases") == [(5,)]


@pytest.mark.spec("S22")
@pytest.mark.abuse("A30")
@pytest.mark.parametrize("level", ["repeatable_read", "serializable"])
async def test_a_purchase_is_counted_by_what_is_committed_now(
    world: World, level: Literal["repeatable_read", "serializable"]
) -> None:
    buyer = await world.person("buyer")
    service = await world.database.as_role("service_role")
    for call in (
        "create_coin_purchase($1, 'coins_700', 'web', 'sandbox', $2)",
        "process_coin_purchase($1, 'web', 'sandbox', $2, $2, 700, 9.99)",
    ):
        with refused("LW007"):
            async with service.transaction(isolation=level):
                await service.execute(f"SELECT public.{call}", buyer.id, key())


# -- the rolling 24 hours


@pytest.mark.spec("S23", "S37")
async def test_five_purchases_of_25000_in_a_minute_can_be_stopped(world: World) -> None:
    buyer, other, boss = *await world.people("buyer", "other"), await staff(world, "boss", "admin")
    await configure(world, boss, daily_threshold_cents=2_500_000)
    flags = [(await buy(world, buyer, "coins_1750000"))["requires_approval"] for _ in range(5)]
    assert flags == [False, True, True, True, True]
    assert not (await buy(world, other, "coins_1750000"))["requires_approval"]
    await world.advance(DAY - 1)
    assert (await buy(world, buyer))["requires_approval"]
    await world.advance(DAY)
    assert not (await buy(world, buyer, "coins_1750000"))["requires_approval"]


@pytest.mark.spec("S23", "S37")
@pytest.mark.parametrize(("ending", "counts"), [("failed", True), ("canceled", False)])
async def test_what_may_still_be_paid_counts_for_the_day(
    world: World, ending: str, *, counts: bool
) -> None:
    # A refused card can be followed by a good one, on the same purchase.
    buyer, boss = await world.person("buyer"), await staff(world, "boss", "admin")
    await configure(world, boss, daily_threshold_cents=2_500_000)
    first = await buy(world, buyer, "coins_1750000")
    payment = await attach(world, first)
    await report(world, fact(ending, payment))
    assert (await look_up(world, first))["status"] == ending
    assert (await buy(world, buyer, "coins_1750000"))["requires_approval"] == counts


@pytest.mark.spec("S23")
async def test_a_daily_hold_credits_nothing(world: World) -> None:
    buyer, boss = await world.person("buyer"), await staff(world, "boss", "admin")
    await configure(world, boss, daily_threshold_cents=CENTS)
    assert (await settle(world, buyer))["status"] == "completed"
    assert (await settle(world, buyer))["status"] == "held"
    assert (await wallet(world, buyer))["coins"] == COINS


# -- money that arrives outside the rules


@pytest.mark.spec("S21", "S26")
async def test_money_over_the_limit_is_held_not_dropped(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    event = await report(
        world,
        captured(payment_id(), 5_000_001, profile_id=str(buyer.id), coin_amount=9_000_000),
    )
    assert await outcome(world, event) == ("applied", None)
    [held] = await world.call(clerk, "list_held_purchases")
    assert held["purchase"]["hold_reason"] == "purchase_over_limit"
    assert (await wallet(world, buyer))["coins"] == 0
    assert [row[2] for row in await audit(world, "payment_held")] == [
        {"reason": "purchase_over_limit"}
    ]
    await fold(world)
    assert await verify(world) == {}


@pytest.mark.spec("S22", "S26")
async def test_money_that_comes_too_fast_is_held_not_dropped(world: World) -> None:
    buyer, clerk = await world.person("buyer"), await staff(world)
    for _ in range(7):
        await report(world, captured(payment_id(), 100, profile_id=str(buyer.id), coin_amount=70))
    assert (await wallet(world, buyer))["coins"] == 350
    held = await world.call(clerk, "list_held_purchases")
    assert [item["purchase"]["hold_reason"] for item in held] == ["too_many_purchases"] * 2
    assert await process(world) == 0


@pytest.mark.spec("S23", "S25")
async def test_a_payment_set_aside_for_a_large_purchase_is_held(world: World) -> None:
    buyer = await world.person("buyer")
    purchase = await buy(world, buyer, LARGE)
    payment = await attach(world, purchase)
    await report(world, authorized(payment))
    assert (await look_up(world, purchase))["status"] == "held"
    assert (await wallet(world, buyer))["coins"] == 0
