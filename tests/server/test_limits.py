"""What is counted, and by what: addresses, accounts, and work that takes long."""

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from livewall import identity
from livewall.addresses import subscriber
from livewall.errors import Refusal
from livewall.limits import Workbench
from tests.databases import Database
from tests.server.money import give_coins
from tests.server.test_gifts import give
from tests.server.world import PASSWORD, Live, serving, settings_for

GUESS = "a guess"


@pytest_asyncio.fixture
async def proxied(database: Database) -> AsyncGenerator[Live]:
    """A server that believes its proxy, which is this machine."""
    settings = settings_for(database, trusted_proxies=("127.0.0.1",))
    async with serving(settings, database) as running:
        yield running


@pytest.fixture
def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only PASSWORD is right, at once: what is limited is how often one may ask."""

    async def check(password: str, _hash: str) -> tuple[bool, str | None]:
        return password == PASSWORD, None

    monkeypatch.setattr(identity, "_verify", check)


async def _sign_in(live: Live, address: str, name: str, password: str = GUESS) -> int:
    answer = await live.visitor().http.post(
        "/api/session",
        json={"name": name, "password": password},
        headers={"X-Forwarded-For": address},
    )
    return answer.status_code


@pytest.mark.abuse("A12")
@pytest.mark.usefixtures("no_hashing")
async def test_an_ipv6_subscriber_is_one_address(proxied: Live) -> None:
    codes = [await _sign_in(proxied, f"2001:db8:1:1::{n:x}", f"name.{n}") for n in range(50)]
    assert codes[0] == 401
    assert 429 in codes
    assert await _sign_in(proxied, "2001:db8:1:2::1", "name.1") == 401


def test_what_is_counted_of_an_address() -> None:
    assert subscriber("192.0.2.7") == "192.0.2.7"
    assert subscriber("::ffff:192.0.2.7") == "192.0.2.7"
    assert (
        subscriber("2001:db8:1:2:3:4:5:6") == subscriber("2001:0DB8:1:2::1") == "2001:db8:1:2::/64"
    )
    assert subscriber("fe80::1%eth0") == "fe80::/64"


@pytest.mark.abuse("A12")
@pytest.mark.parametrize("hop", ["unknown", "x" * 300, "1.2.3", "_hidden", "192.0.2.1:port"])
async def test_a_hop_that_is_no_address_is_refused(proxied: Live, hop: str) -> None:
    headers = {"X-Forwarded-For": f"192.0.2.9, {hop}"}
    answer = await proxied.visitor().http.get("/api/streams", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_message")


@pytest.mark.parametrize("hop", ["192.0.2.1:4711", "[2001:db8::1]:443", "2001:db8::1"])
async def test_a_hop_may_carry_a_port(proxied: Live, hop: str) -> None:
    # What stands before the last hop was written by the client, and nobody reads it.
    headers = {"X-Forwarded-For": f"nonsense, {hop}"}
    answer = await proxied.visitor().http.get("/api/streams", headers=headers)
    assert answer.status_code == 200


@pytest.mark.abuse("T4")
@pytest.mark.usefixtures("no_hashing")
async def test_spaces_and_spellings_are_no_new_guesses(proxied: Live) -> None:
    await proxied.account("vera.lang")
    names = [" " * n + "Vera.Lang " for n in range(8)] + ["\uff56era.lang"] * 8
    codes = [await _sign_in(proxied, "192.0.2.1", name) for name in names]
    assert codes[:10] == [401] * 10
    assert set(codes[11:]) == {429}
    unknown = [await _sign_in(proxied, "192.0.2.2", " " * n + "nobody.here") for n in range(16)]
    assert set(unknown[11:]) == {429}


@pytest.mark.abuse("T4")
@pytest.mark.usefixtures("no_hashing")
async def test_many_addresses_do_not_guess_more_and_do_not_lock_the_owner_out(
    proxied: Live,
) -> None:
    await proxied.account("vera.lang")
    assert await _sign_in(proxied, "198.51.100.7", "vera.lang", PASSWORD) == 201
    codes = [await _sign_in(proxied, f"192.0.2.{n}", "vera.lang") for n in range(40)]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert await _sign_in(proxied, "198.51.100.7", "vera.lang", PASSWORD) == 201
    assert await _sign_in(proxied, "192.0.2.99", "somebody.else") == 401


@pytest.mark.abuse("T6")
async def test_passwords_that_wait_too_long_are_sent_away(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = threading.Event()

    def slow(_password: str, _hash: str) -> tuple[bool, str | None]:
        hold.wait(10)
        return False, None

    monkeypatch.setattr(identity, "_hashing", Workbench(1, waiting=2))
    monkeypatch.setattr(identity._hasher, "verify_and_update", slow)  # pyright: ignore[reportPrivateUsage]
    http = live.visitor().http
    tries = [
        asyncio.ensure_future(
            http.post("/api/session", json={"name": f"name.{n}", "password": "a guess"})
        )
        for n in range(6)
    ]
    done, waiting = await asyncio.wait(tries, timeout=2)
    hold.set()
    sent_away = [each.result() for each in done]
    assert {(a.status_code, a.json()["code"]) for a in sent_away} == {(503, "busy")}
    assert all("retry-after" in a.headers for a in sent_away)
    assert (len(sent_away), len(waiting)) == (3, 3)
    assert {(await each).status_code for each in waiting} == {401}


async def test_a_place_is_given_back_whatever_happens() -> None:
    bench = Workbench(1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with bench.place():
                raise ZeroDivisionError
    async with bench.place():
        with pytest.raises(Refusal, match="busy"):
            async with bench.place():
                pass


@pytest.mark.abuse("A12", "A27")
async def test_gifts_that_give_nothing_are_counted_and_others_are_not(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, vera, mallory = [await live.account(name) for name in ("ada", "vera", "mallory")]
    _, stream_id = await ada.go_live()
    await give_coins(live, vera, 100)
    limiter = live.app.server.limiters.idle_gifts
    monkeypatch.setattr(limiter, "_burst", 2)
    monkeypatch.setattr(limiter, "_rate", 0.001)
    broke = [await give(mallory, ada, stream_id, "rose") for _ in range(3)]
    assert [answer.status_code for answer in broke] == [409, 409, 429]
    key = {"idempotency_key": "the-same-again"}
    codes = [(await give(vera, ada, stream_id, "rose")).status_code for _ in range(3)]
    codes += [(await give(vera, ada, stream_id, "rose", key)).status_code for _ in range(4)]
    assert codes == [201] * 6 + [429], "three, a fourth, and two of its repeats"
