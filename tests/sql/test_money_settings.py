"""When the rules of money apply: what is lowered at once, what is raised a day later."""

import json
from datetime import timedelta

import pytest

from tests.sql.money import (
    DAY,
    LARGE,
    LARGE_CENTS,
    Purchase,
    buy,
    buy_for,
    captured,
    configure,
    report,
    staff,
    started,
    wallet,
)
from tests.sql.world import START, World, refused, rows_read


@pytest.mark.spec("S25")
@pytest.mark.abuse("A34")
@pytest.mark.parametrize(
    ("before", "lifted"),
    [
        ({}, {"threshold_cents": 5_000_000}),
        (
            {"threshold_cents": 5_000_000, "daily_threshold_cents": 2_500_000},
            {"daily_threshold_cents": None},
        ),
    ],
    ids=["raised", "removed"],
)
async def test_nobody_lifts_a_threshold_for_a_purchase_of_their_own(
    world: World, before: Purchase, lifted: Purchase
) -> None:
    admin = await staff(world, "boss", "admin")
    kept = await configure(world, admin, **before)
    await world.advance(DAY)
    await configure(world, admin, **lifted)
    purchase, payment = await started(world, admin, LARGE)
    await configure(world, admin, **{rule: kept[rule] for rule in lifted})
    assert purchase["requires_approval"]
    await report(world, captured(payment, LARGE_CENTS))
    assert (await wallet(world, admin))["coins"] == 0, "$32,500.00 without a second person"


@pytest.mark.spec("S21", "S23", "S25", "D7")
async def test_a_raise_applies_a_day_later_and_what_is_lowered_at_once(world: World) -> None:
    buyer, boss = await world.person("buyer"), await staff(world, "boss", "admin")
    clerk = await staff(world)
    raised = await configure(world, boss, limit_cents=6_000_000, threshold_cents=4_000_000)
    at = (START + timedelta(days=1)).isoformat()
    assert (raised["limit_cents"], raised["raises_apply_at"]) == (6_000_000, at)
    await world.advance(DAY - 1)
    with refused("LW070"):
        await buy_for(world, buyer, "50000.01")
    assert (await buy_for(world, buyer, "25000.01"))["requires_approval"]
    packs = await world.call("anon", "list_coin_packs")
    assert next(pack for pack in packs if pack["id"] == LARGE)["requires_approval"], "as it is"
    seen = await world.call(clerk, "get_purchase_settings")
    assert seen["raises_apply_at"] == at
    # Each by itself: the limit as it was, the threshold as it was, no daily one then or now.
    in_force = {"limit_cents": 5_000_000, "threshold_cents": 2_500_000}
    assert seen["in_force"] == in_force | {"daily_threshold_cents": None}
    await world.advance(1)
    seen = await world.call(clerk, "get_purchase_settings")
    assert (seen["raises_apply_at"], seen["in_force"]["limit_cents"]) == (None, 6_000_000)
    assert not (await buy_for(world, buyer, "40000.00"))["requires_approval"]
    over = await buy_for(world, buyer, "60000.00")
    assert over["requires_approval"]
    assert (await world.rows("SELECT max(max_purchase_limit)::text FROM coin_purchases")) == [
        ("60000.00",)
    ]
    await configure(world, boss, threshold_cents=100)
    assert (await buy_for(world, buyer, "1.01"))["requires_approval"], "at once"
    # Put back it was low within the day, and so it still is.
    await world.advance(60)
    back = await configure(world, boss, threshold_cents=4_000_000)
    assert back["raises_apply_at"] == (START + timedelta(days=2, seconds=60)).isoformat()
    assert (await buy_for(world, buyer, "1.01"))["requires_approval"]


@pytest.mark.spec("S21", "S25")
async def test_what_is_no_raise_waits_for_nothing(world: World) -> None:
    boss = await staff(world, "boss", "admin")
    for changes in (
        {"velocity": 6, "streamer_share_percent": 71},
        {"daily_threshold_cents": 5_000_000},
        {"limit_cents": 4_000_000, "threshold_cents": 0},
    ):
        assert (await configure(world, boss, **changes))["raises_apply_at"] is None
    # Raised and put back: nothing is higher than it was.
    await configure(world, boss, threshold_cents=1)
    assert (await configure(world, boss, threshold_cents=0))["raises_apply_at"] is None


@pytest.mark.spec("S21")
async def test_a_purchase_does_not_read_the_audit_log_for_what_is_in_force(world: World) -> None:
    buyer, boss = await world.person("buyer"), await staff(world, "boss", "admin")
    await world.admin.execute(
        "INSERT INTO private.audit_log (action, subject)"
        " SELECT 'purchase_approved', n FROM generate_series(1, 3000) AS n;"
        "INSERT INTO private.audit_log (at, action, subject)"
        " SELECT private.clock() - (1 + n) * interval '1 day', 'money_settings_changed', 'x'"
        " FROM generate_series(1, 1000) AS n; ANALYZE private.audit_log"
    )
    await configure(world, boss, limit_cents=4_000_000)
    before = await rows_read(world, "private.audit_log")
    await buy(world, buyer)
    assert await rows_read(world, "private.audit_log") - before < 50


@pytest.mark.spec("S21")
async def test_a_figure_is_a_whole_number_and_nothing_else(world: World) -> None:
    boss = await staff(world, "boss", "admin")
    for rule in ("limit_cents", "threshold_cents", "velocity", "daily_threshold_cents"):
        for wrong in (5.5, "5", "x", True, [1], {"a": 1}, -1):
            with refused("LW087"):
                await configure(world, boss, **{rule: wrong})
    whole = await world.call(
        boss, "configure_purchases", p_changes=json.loads('{"velocity": 5.0}'), p_reason="same"
    )
    assert whole["velocity"] == 5
