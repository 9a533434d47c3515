"""Buying coins over HTTP: limits before paying, providers that fail, and a server that dies."""

import asyncio
from uuid import UUID, uuid4

import pytest

from livewall import jobs
from livewall.db import Caller
from livewall.db import Database as Pool
from livewall.errors import Refusal
from livewall.payments import Captured, ProviderAway, ProviderRefused
from tests.databases import Database
from tests.server.money import (
    FakeProvider,
    bought,
    buy,
    captured,
    coins,
    report,
    selling,
    send,
    staff,
    status,
    told,
)
from tests.server.world import Live, serving, settings_for


@pytest.mark.spec("S26")
@pytest.mark.spec("D4")
async def test_from_the_pack_to_the_coins(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    tab = await ada.tab()
    packs = (await shop.visitor().http.get("/api/coin-packs")).json()["packs"]
    pack = next(p for p in packs if p["id"] == "coins_700")
    assert (pack["coins"], pack["usd_cents"], pack["platform"]) == (700, 999, "web")
    answer = await buy(ada)
    assert answer.status_code == 201
    purchase, checkout = answer.json()["purchase"], answer.json()["checkout"]
    assert (purchase["status"], purchase["usd_cents"]) == ("pending", 999)
    assert checkout == {"kind": "redirect", "url": f"/pay/{purchase['provider_payment_id']}"}
    intent = provider.intents[purchase["provider_payment_id"]]
    assert (intent.capture, intent.usd_cents) == ("automatic", 999)
    assert intent.purchase_id == UUID(purchase["id"])
    assert await coins(ada) == 0
    assert (await send(shop, report(captured(provider, purchase)))).json() == {"is_new": True}
    await tab.expect("wallet")
    heard = await told(tab, purchase, "completed")
    assert heard == (await ada.http.get(f"/api/purchases/{purchase['id']}")).json()
    assert (await ada.http.get("/api/wallet")).json() == {
        "coins": 700,
        "debt": 0,
        "is_frozen": False,
        "held_coins": 0,
        "earnings": 0,
    }
    statement = (await ada.http.get("/api/wallet/statement")).json()
    assert [(e["kind"], e["amount"], e["balance"]) for e in statement["entries"]] == [
        ("purchase", 700, 700)
    ]
    assert statement["entries"][0]["source_id"] == purchase["id"]
    assert statement["next"] is None
    listed = (await ada.http.get("/api/purchases")).json()
    assert [p["id"] for p in listed["purchases"]] == [purchase["id"]]


async def test_a_purchase_is_ones_own(shop: Live) -> None:
    ada, bob = await shop.account("ada"), await shop.account("bob")
    purchase = await bought(ada)
    for path in ("", "/receipt-of-nobody"):
        answer = await bob.http.get(f"/api/purchases/{purchase['id']}{path}")
        assert answer.json()["code"] == "not_found"
    assert (await bob.http.get("/api/purchases")).json() == {"purchases": [], "next": None}
    nobody = shop.visitor().http
    for path in ("/api/wallet", "/api/wallet/statement", "/api/purchases"):
        assert (await nobody.get(path)).json()["code"] == "not_signed_in"


async def test_purchases_and_statements_are_read_in_pages(
    shop: Live, provider: FakeProvider
) -> None:
    ada = await shop.account("ada")
    for _ in range(3):
        purchase = await bought(ada, "coins_70")
        await send(shop, report(captured(provider, purchase)))
        await status(ada, purchase, "completed")
    first = (await ada.http.get("/api/purchases?limit=2")).json()
    rest = (await ada.http.get(f"/api/purchases?limit=2&before={first['next']}")).json()
    numbers = [p["number"] for p in first["purchases"] + rest["purchases"]]
    assert len(numbers) == 3
    assert numbers == sorted(numbers, reverse=True)
    assert rest["next"] is None
    page = (await ada.http.get("/api/wallet/statement?limit=2")).json()
    more = {"limit": 2, "cursor": page["next"]}
    last = (await ada.http.get("/api/wallet/statement", params=more)).json()
    assert [e["balance"] for e in page["entries"] + last["entries"]] == [210, 140, 70]
    wrong = await ada.http.get("/api/wallet/statement?cursor=nonsense")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_argument")


async def test_the_same_key_is_the_same_purchase(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    key = str(uuid4())
    answers = [await buy(ada, key=key) for _ in range(3)]
    answers += await asyncio.gather(*(buy(ada, key=key) for _ in range(5)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    assert len(provider.intents) == 1
    other = await buy(ada, "coins_70", key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    # A key is one person's: somebody else's is another purchase.
    assert (await buy(await shop.account("bob"), key=key)).json() != answers[0].json()
    purchase = answers[0].json()["purchase"]
    await send(shop, report(captured(provider, purchase)))
    await status(ada, purchase, "completed")
    paid = (await buy(ada, key=key)).json()
    assert (paid["purchase"]["status"], paid["checkout"]) == ("completed", None)


@pytest.mark.spec("D4")
async def test_what_was_left_unpaid_is_paid_or_given_up_from_anywhere(
    shop: Live, provider: FakeProvider
) -> None:
    ada, bob = await shop.account("ada"), await shop.account("bob")
    started, other = (await buy(ada)).json(), await bought(ada)
    purchase = started["purchase"]
    path = f"/api/purchases/{purchase['id']}"
    for _ in range(2):
        again = await ada.http.post(f"{path}/payment")
        assert (again.status_code, again.json()) == (200, started)
    assert len(provider.intents) == 2
    for act in ("payment", "cancel"):
        assert (await bob.http.post(f"{path}/{act}")).json()["code"] == "not_found"
    await send(shop, report(captured(provider, purchase)))
    paid = await status(ada, purchase, "completed")
    assert (await ada.http.post(f"{path}/payment")).json() == {"purchase": paid, "checkout": None}
    late = await ada.http.post(f"{path}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "transition_refused")
    given_up = f"/api/purchases/{other['id']}"
    for _ in range(2):
        assert (await ada.http.post(f"{given_up}/cancel")).status_code == 200
    ended = await status(ada, other, "canceled")
    assert (await ada.http.post(f"{given_up}/payment")).json()["checkout"] is None
    assert (await ada.http.post(f"{given_up}/cancel")).json() == ended
    assert [call[0] for call in provider.calls] == ["cancel"]


@pytest.mark.parametrize(
    "key",
    ["short", "x" * 101, "with spaces in it", "line\nbreak", "späte-schlüssel", 12345678, None],
)
async def test_keys_are_printable(shop: Live, key: object) -> None:
    ada = await shop.account("ada")
    wish = {"pack_id": "coins_70", "idempotency_key": key}
    answer = await ada.http.post("/api/purchases", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_message")


@pytest.mark.abuse("A25")
@pytest.mark.abuse("A27")
async def test_nobody_names_their_own_price(shop: Live) -> None:
    ada = await shop.account("ada")
    wish = {"pack_id": "coins_70", "idempotency_key": str(uuid4())}
    for extra in (
        {"coins": 1_000_000},
        {"usd_cents": 1},
        {"coin_amount": -5},
        {"platform": "ios"},
        {"profile_id": str(uuid4())},
        {"requires_approval": False},
    ):
        answer = await ada.http.post("/api/purchases", json=wish | extra)
        assert answer.json()["code"] == "invalid_message", extra
    unknown = await buy(ada, "coins_1000000_for_free")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (await ada.http.get("/api/purchases")).json()["purchases"] == []


async def test_guests_do_not_buy(shop: Live) -> None:
    answer = await buy(await shop.guest())
    assert (answer.status_code, answer.json()["code"]) == (403, "guests_may_not_buy")


@pytest.mark.spec("S22")
@pytest.mark.abuse("A30")
async def test_of_twenty_at_once_exactly_five_pass(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    answers = await asyncio.gather(*(buy(ada, "coins_70") for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [201] * 5 + [429] * 15
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.json()["code"] == "too_many_purchases"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert len(provider.intents) == 5
    assert (await buy(await shop.account("bob"))).status_code == 201


@pytest.mark.spec("S21")
async def test_a_purchase_over_the_limit_is_refused_before_paying(
    shop: Live, provider: FakeProvider
) -> None:
    ada, admin = await shop.account("ada"), await staff(shop, "eve", "admin")
    lower = {"limit_cents": 2_499_999, "reason": "a quiet week"}
    assert (await admin.http.put("/api/admin/purchase-settings", json=lower)).status_code == 200
    answer = await buy(ada, "coins_1750000")
    assert (answer.status_code, answer.json()["code"]) == (422, "purchase_over_limit")
    assert provider.intents == {}


async def test_a_provider_that_is_away_costs_nothing(shop: Live, provider: FakeProvider) -> None:
    ada, key = await shop.account("ada"), str(uuid4())
    provider.trouble = [ProviderAway(), ProviderAway()]
    for _ in range(2):
        answer = await buy(ada, key=key)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
        assert int(answer.headers["retry-after"]) >= 1
    again = await buy(ada, key=key)
    assert again.status_code == 201
    listed = (await ada.http.get("/api/purchases")).json()["purchases"]
    assert [p["id"] for p in listed] == [again.json()["purchase"]["id"]]
    assert len(provider.intents) == 1


async def test_a_provider_that_refuses_is_final(shop: Live, provider: FakeProvider) -> None:
    ada = await shop.account("ada")
    provider.trouble = [ProviderRefused("No such currency here.")]
    answer = await buy(ada)
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_refused")
    assert answer.json()["detail"] == "No such currency here."


async def test_without_a_provider_nothing_is_sold(database: Database) -> None:
    async with serving(settings_for(database, payments="none"), database) as live:
        answer = await buy(await live.account("ada"))
        assert (answer.status_code, answer.json()["code"]) == (503, "payments_off")
        assert (await live.visitor().http.post("/webhooks/fake")).status_code == 404


def _dying(calls: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next `attach_payment` not happen, as if the server died before it."""
    real = calls.call_json

    async def call_json(caller: Caller, function: str, arguments: dict[str, object]) -> str:
        if function == "attach_payment":
            monkeypatch.undo()
            raise Refusal("database_away")
        return await real(caller, function, arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(calls, "call_json", call_json)


@pytest.mark.spec("S26")
@pytest.mark.parametrize("names_purchase", [True, False])
async def test_a_server_that_dies_before_it_notes_the_payment(
    database: Database,
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    names_purchase: bool,
) -> None:
    key = str(uuid4())
    async with selling(database, provider) as live:
        ada = await live.account("ada")
        _dying(live.app.server.database, monkeypatch)
        answer = await buy(ada, key=key)
        assert answer.status_code == 503
        token = ada.token
    ((payment_id, intent),) = provider.intents.items()
    async with selling(database, provider) as live:
        ada = live.visitor(token)
        # The buyer can not have paid without a checkout, but providers report what they like.
        purchase_id = intent.purchase_id if names_purchase else None
        fact = provider.fact(Captured, payment_id, intent.usd_cents, purchase_id=purchase_id)
        assert (await send(live, report(fact))).status_code == 200
        if names_purchase:
            await status(ada, {"id": intent.purchase_id}, "completed")
        answer = await buy(ada, key=key)
        assert answer.status_code == 201, answer.text
        assert answer.json()["checkout"] is None
        purchase = await status(ada, answer.json()["purchase"], "completed")
        assert purchase["provider_payment_id"] == payment_id
        assert await coins(ada) == 700
    assert len(provider.intents) == 1


@pytest.mark.spec("S20")
@pytest.mark.spec("S24")
async def test_where_a_purchase_came_from_is_kept(
    database: Database, provider: FakeProvider
) -> None:
    settings = settings_for(database, trusted_proxies=("127.0.0.1",), country_header="CF-IPCountry")
    agent = "Browser/1.0 " + "x" * 1_000
    async with selling(database, provider, settings) as live:
        ada = await live.account("ada")
        forwarded = {"X-Forwarded-For": "10.0.0.1, 203.0.113.9", "CF-IPCountry": "ch"}
        ada.http.headers.update(forwarded | {"User-Agent": agent})
        await bought(ada)
        for unknown in ("XX", "T1", "Switzerland", ""):
            ada.http.headers["CF-IPCountry"] = unknown
            del ada.http.headers["X-Forwarded-For"]
            await bought(ada, "coins_70")
            ada.http.headers["X-Forwarded-For"] = "unknown"
            # Our proxy names an address or nothing: a word would be a new allowance for everybody.
            assert (await ada.http.get("/api/streams")).status_code == 400
    admin = await database.admin()
    rows = await admin.fetch(
        "SELECT ip_address, country_code, user_agent FROM public.coin_purchases ORDER BY number"
    )
    assert (str(rows[0]["ip_address"]), rows[0]["country_code"]) == ("203.0.113.9", "CH")
    assert rows[0]["user_agent"] == agent[:500]
    kept = [(str(r["ip_address"]), r["country_code"]) for r in rows[1:]]
    assert kept == [("127.0.0.1", None)] * 4


@pytest.mark.spec("S24")
async def test_only_our_proxy_names_a_country(database: Database, provider: FakeProvider) -> None:
    for settings in (
        settings_for(database, country_header="CF-IPCountry"),
        settings_for(database, trusted_proxies=("127.0.0.1",)),
    ):
        async with selling(database, provider, settings) as live:
            ada = await live.account(f"ada{len(settings.country_header)}")
            ada.http.headers["CF-IPCountry"] = "CH"
            await bought(ada)
    admin = await database.admin()
    rows = await admin.fetch("SELECT ip_address, country_code FROM public.coin_purchases")
    assert [(str(r["ip_address"]), r["country_code"]) for r in rows] == [("127.0.0.1", None)] * 2


@pytest.mark.spec("S25")
async def test_one_run_of_the_job_ends_everything_that_is_over(shop: Live) -> None:
    await shop.account("ada")
    admin = await shop.database.admin()
    await admin.execute(
        "INSERT INTO public.coin_purchases (profile_id, platform, payment_provider, coin_amount,"
        " usd_amount, purchased_at) SELECT id, 'web', 'fake', 70, 0.99, now() - interval '2 days'"
        " FROM public.profiles, generate_series(1, $1) WHERE name = 'ada'",
        jobs.EXPIRE_AT_ONCE + 1,
    )
    periods = jobs.leading(shop.app.server.database, shop.app.server.settlement)
    await next(act for job, _, act in periods if job == "expire_purchases")()
    assert await admin.fetch("SELECT status, count(*) FROM public.coin_purchases GROUP BY 1") == [
        ("canceled", jobs.EXPIRE_AT_ONCE + 1)
    ]
