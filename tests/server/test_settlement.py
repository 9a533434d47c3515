"""Events are acted on and providers are told, whatever else takes long, is locked or is gone."""

import pytest
from prometheus_client import REGISTRY

from livewall.payments.settlement import Settlement
from tests.server.money import (
    FakeProvider,
    bought,
    captured,
    coins,
    eventually,
    report,
    send,
    staff,
    status,
)
from tests.server.world import Json, Live, metric

HOLD = """
CREATE TABLE private.test_holds (purchase_id uuid);
CREATE FUNCTION private.test_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    WHILE EXISTS (SELECT FROM private.test_holds WHERE purchase_id = NEW.id) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER test_hold BEFORE UPDATE ON public.coin_purchases
    FOR EACH ROW EXECUTE FUNCTION private.test_hold();
"""
IS_HELD = """
SELECT EXISTS (SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep')
"""
ORDER_CANCEL = "SELECT private.order_call($1, 'cancel', 999, 'cancel')"


@pytest.mark.spec("S26", "D7")
@pytest.mark.abuse("A21")
async def test_an_event_that_takes_long_keeps_none_behind_it(
    shop: Live, provider: FakeProvider
) -> None:
    ada, eve = await shop.account("ada"), await shop.account("eve")
    slow, quick = await bought(eve), await bought(ada)
    admin = await shop.database.admin()
    await admin.execute(HOLD)
    await admin.execute("INSERT INTO private.test_holds VALUES ($1)", slow["id"])
    broke = {"provider": "fake", "outcome": "broke"}
    before = metric("livewall_payment_events_total", **broke)
    assert (await send(shop, report(captured(provider, slow)))).status_code == 200

    async def is_held() -> bool:
        return await admin.fetchval(IS_HELD)

    await eventually(is_held, bool)
    assert (await send(shop, report(captured(provider, quick)))).status_code == 200
    await status(ada, quick, "completed")
    assert await coins(ada) == 700
    assert await is_held()
    assert metric("livewall_payment_events_total", **broke) == before, "not cut off either"
    await admin.execute("DELETE FROM private.test_holds")
    await status(eve, slow, "completed")


@pytest.mark.spec("S25", "D7")
async def test_a_locked_purchase_keeps_no_other_call_from_being_noted(
    shop: Live, provider: FakeProvider
) -> None:
    ada, eve = await shop.account("ada"), await shop.account("eve")
    locked, other = await bought(eve), await bought(ada)
    admin = await shop.database.admin()
    held = await shop.database.admin()
    result = {"provider": "fake", "call": "cancel", "result": "left"}
    runs = {"job": "perform_provider_calls", "result": "failed"}
    before = metric("livewall_provider_calls_total", **result)
    failed = metric("livewall_job_runs_total", **runs)

    async def is_left() -> bool:
        return metric("livewall_provider_calls_total", **result) > before

    async with held.transaction():
        await held.execute(
            "SELECT FROM public.coin_purchases WHERE id = $1 FOR NO KEY UPDATE", locked["id"]
        )
        for purchase in (locked, other):
            await admin.execute(ORDER_CANCEL, purchase["id"])
        await status(ada, other, "canceled")
        await eventually(is_left, bool)
    await admin.execute("UPDATE private.provider_calls SET next_attempt_at = now()")
    await status(eve, locked, "canceled")
    assert len({call[3] for call in provider.calls}) == 2, "the second try has the key of the first"
    assert metric("livewall_job_runs_total", **runs) == failed, "nobody else waits for it"


async def test_a_first_refusal_is_seen_as_one_more(shop: Live) -> None:
    class Unheard(FakeProvider):
        name = "unheard"

    Settlement(shop.app.server.database, Unheard())
    for call in ("capture", "cancel", "refund"):
        counted = {"provider": "unheard", "call": call, "result": "failed"}
        assert REGISTRY.get_sample_value("livewall_provider_calls_total", counted) == 0


@pytest.mark.spec("D4")
async def test_what_a_provider_that_is_gone_was_to_be_paid_can_be_cancelled(shop: Live) -> None:
    ada, fin = await shop.account("ada"), await staff(shop, "fin")
    purchase = await bought(ada)
    admin = await shop.database.admin()
    await admin.execute("UPDATE public.coin_purchases SET payment_provider = 'elsewhere'")
    path = f"/api/purchases/{purchase['id']}"
    told = (await ada.http.post(f"{path}/payment")).json()
    assert (told["purchase"]["status"], told["checkout"]) == ("pending", None)
    assert (await ada.http.post(f"{path}/cancel")).status_code == 200
    await status(ada, purchase, "canceled")
    entries: list[Json] = (await fin.http.get("/api/admin/audit")).json()["entries"]
    (ended,) = (e for e in entries if e["subject"] == purchase["id"])
    assert ended["action"] == "provider_call_failed"
    assert ended["details"]["error"] == "elsewhere is not set up on this server."
