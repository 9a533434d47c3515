"""Who somebody is: guests, accounts, tokens, cookies, forgery, and being signed out."""

import asyncio
import json
import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from livewall import accounts, identity, tokens
from livewall.callers import SESSION_SECONDS
from tests.databases import Database
from tests.server.world import PASSWORD, SECRET, Json, Live, forged, serving, settings_for


@pytest.mark.spec("D1")
async def test_guest_continues_becomes_an_account_and_signs_in_again(live: Live) -> None:
    guest = await live.guest("vera")
    assert guest.profile["is_guest"]
    body = {"name": "vera.lang", "password": PASSWORD, "display_name": "Vera", "return_token": True}
    grown = await guest.http.post("/api/accounts", json=body)
    assert grown.status_code == 201
    profile = grown.json()["account"]["profile"]
    assert profile["id"] == guest.profile["id"]
    assert (profile["name"], profile["is_guest"]) == ("vera.lang", False)
    again = await guest.http.post("/api/accounts", json=body | {"name": "other"})
    assert (again.status_code, again.json()["code"]) == (409, "already_an_account")

    browser = live.visitor()
    signed_in = await browser.http.post(
        "/api/session", json={"name": "Vera.Lang", "password": PASSWORD}
    )
    assert signed_in.status_code == 201
    assert "token" not in signed_in.json()
    session = (await browser.http.get("/api/session")).json()
    assert session["account"]["profile"]["id"] == guest.profile["id"]


@pytest.mark.abuse("T3")
async def test_the_session_cookie_is_out_of_reach_of_scripts(live: Live) -> None:
    answer = await live.visitor().http.post("/api/session/guest", json={})
    cookies = {c.split("=")[0]: c.lower() for c in answer.headers.get_list("set-cookie")}
    assert "httponly" in cookies["livewall_session"]
    assert "samesite=lax" in cookies["livewall_session"]
    assert "httponly" not in cookies["livewall_csrf"]


@pytest.mark.abuse("T3")
async def test_in_production_cookies_are_bound_to_the_host_and_to_tls(database: Database) -> None:
    settings = settings_for(database, env="production", public_url="https://live.example")
    async with serving(settings, database) as live:
        answer = await live.visitor().http.post("/api/session/guest", json={})
        cookies = {c.split("=")[0]: c.lower() for c in answer.headers.get_list("set-cookie")}
        assert "secure" in cookies["__Host-livewall_session"]
        assert "path=/" in cookies["__Host-livewall_session"]
        assert "domain" not in cookies["__Host-livewall_session"]
        assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.abuse("T4")
async def test_wrong_password_and_unknown_name_look_the_same(live: Live) -> None:
    await live.account("vera")
    http = live.visitor().http
    answers = [
        await http.post("/api/session", json={"name": name, "password": "not the password"})
        for name in ("vera", "nobody.here")
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_password")
    bodies = [{k: v for k, v in a.json().items() if k != "request_id"} for a in answers]
    assert bodies[0] == bodies[1]


@pytest.mark.abuse("T4")
async def test_guessing_passwords_is_slowed_down(live: Live, monkeypatch: Any) -> None:
    # The hash is what takes long here; what is limited is how often one may ask.
    async def refuse(_password: str, _hash: str) -> tuple[bool, str | None]:
        return False, None

    monkeypatch.setattr(identity, "_verify", refuse)
    http = live.visitor().http
    for _ in range(10):
        wrong = await http.post("/api/session", json={"name": "vera", "password": "guess guess"})
        assert wrong.status_code == 401
    slowed = await http.post("/api/session", json={"name": "vera", "password": "guess guess"})
    assert (slowed.status_code, slowed.json()["code"]) == (429, "rate_limited")
    assert int(slowed.headers["retry-after"]) >= 1


def _claims(**changes: object) -> Json:
    now = int(time.time())
    claims = {
        "iss": "livewall",
        "aud": "authenticated",
        "sub": str(uuid4()),
        "session_id": str(uuid4()),
        "role": "authenticated",
        "iat": now,
        "exp": now + 3600,
    }
    return {k: v for k, v in (claims | changes).items() if v is not None}


def _signed(claims: Json, secret: str = SECRET, algorithm: str = "HS256") -> str:
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])


BAD_CLAIMS: tuple[Json, ...] = (
    {"exp": int(time.time()) - 3600},
    {"exp": None},
    {"exp": "never"},
    {"exp": True},
    {"aud": "somebody else"},
    {"aud": None},
    {"iss": "somebody else"},
    {"nbf": int(time.time()) + 3600},
    {"iat": int(time.time()) + 3600},
    {"sub": "not an id"},
    {"sub": None},
    {"session_id": None},
    {"role": "service_role"},
    {"role": "postgres"},
)


@pytest.mark.abuse("A13")
async def test_a_token_with_a_bad_claim_is_refused(live: Live) -> None:
    guest = await live.guest()
    good = _claims(sub=str(guest.id), session_id=_session_of(guest.token))
    assert await _status(live, _signed(good)) == 200
    for changes in BAD_CLAIMS:
        bad = {key: value for key, value in (good | changes).items() if value is not None}
        assert await _status(live, _signed(bad)) == 401, changes


@pytest.mark.abuse("A13")
async def test_a_token_without_a_good_signature_is_refused(live: Live) -> None:
    guest = await live.guest()
    good = _claims(sub=str(guest.id), session_id=_session_of(guest.token))
    for algorithm in ("none", "None", "HS256"):
        assert await _status(live, forged({"alg": algorithm, "typ": "JWT"}, good)) == 401
    assert await _status(live, _signed(good, "another secret, also long enough to sign")) == 401
    assert await _status(live, _signed(good, algorithm="HS512")) == 401
    head, body, signature = guest.token.split(".")
    assert await _status(live, f"{head}.{body}.{signature[:-4]}AAAA") == 401
    for text in (".", "..", "a.b.c", "x" * 9_000, f"{head}.{body}"):
        assert await _status(live, text) == 401


async def _status(live: Live, token: str) -> int:
    async with httpx.AsyncClient(base_url=live.url) as http:
        headers = {"Authorization": f"Bearer {token}"}
        return (await http.get("/api/grid", headers=headers)).status_code


def _session_of(token: str) -> str:
    key = OctKey.import_key(SECRET)
    return str(jwt.decode(token, key, algorithms=["HS256"]).claims["session_id"])


async def test_tokens_of_another_issuer_are_checked_by_its_keys(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, unknown = ECKey.generate_key(parameters={"kid": "one"}), ECKey.generate_key()
    fetched: list[str] = []

    def download(url: str) -> bytes:
        fetched.append(url)
        return json.dumps(KeySet([key]).as_dict(private=False)).encode()

    monkeypatch.setattr(tokens, "_download", download)
    settings = settings_for(
        database, jwks_url="https://issuer.example/keys", jwt_issuer="https://issuer.example"
    )
    person = str(uuid4())
    claims = _claims(iss="https://issuer.example", sub=person, name="nora", session_id=None)
    async with serving(settings, database) as live:
        token = jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, algorithms=["ES256"])
        nora = live.visitor(token)
        session = (await nora.http.get("/api/session")).json()
        assert session["account"]["profile"]["id"] == person
        assert session["account"]["profile"]["name"] == "nora"
        forged_one = jwt.encode(
            {"alg": "ES256", "kid": "two"}, claims, unknown, algorithms=["ES256"]
        )
        for _ in range(3):
            assert await _status(live, forged_one) == 401
        assert len(fetched) == 1, "unknown key ids do not make us ask again at once"
        in_our_name = jwt.encode(
            {"alg": "ES256", "kid": "one"}, claims | {"iss": "livewall"}, key, algorithms=["ES256"]
        )
        assert await _status(live, in_our_name) == 401


@pytest.mark.abuse("A14")
async def test_a_body_can_not_name_another_person(live: Live) -> None:
    victim, cheat = await live.guest("victim"), await live.guest("cheat")
    attempts: list[tuple[str, str, Json]] = [
        ("PATCH", "/api/me", {"id": str(victim.id), "bio": "hacked"}),
        ("PUT", "/api/grid", {"slots": [], "viewer_id": str(victim.id)}),
        ("PUT", "/api/me/links", {"links": [], "profile_id": str(victim.id)}),
    ]
    for method, path, body in attempts:
        answer = await cheat.http.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_message")
    assert (await victim.http.get("/api/profiles/victim")).json()["bio"] == ""


@pytest.mark.abuse("A15")
async def test_a_banned_person_is_cut_off_everywhere_at_once(live: Live) -> None:
    moderator, mallory = await live.moderator("mod"), await live.guest("mallory")
    _, stream_id = await (await live.guest("ada")).go_live()
    tab = await mallory.tab()
    await tab.watch(stream_id)
    await tab.expect("seat", state="granted")
    answer = await moderator.http.put("/api/bans/mallory", json={"reason": "spam"})
    assert answer.status_code == 204
    assert (await tab.expect("error"))["problem"]["code"] == "banned"
    assert await tab.closed() == 4403
    assert (await mallory.http.get("/api/grid")).status_code == 401
    assert await (await mallory.connect()).closed() == 4401
    stream = (await moderator.http.get(f"/api/streams/{stream_id}")).json()
    assert stream["active_viewer_count"] == 0
    await live.account("eve")
    await moderator.http.put("/api/bans/eve", json={"reason": "spam"})
    credentials = {"name": "eve", "password": PASSWORD}
    refused = await live.visitor().http.post("/api/session", json=credentials)
    assert (refused.status_code, refused.json()["code"]) == (403, "banned")


async def test_only_moderators_ban(live: Live) -> None:
    nobody, _ = await live.guest(), await live.guest("mallory")
    answer = await nobody.http.put("/api/bans/mallory", json={"reason": "spam"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


@pytest.mark.abuse("T3")
async def test_signing_out_ends_the_token_and_the_sockets(live: Live) -> None:
    viewer = await live.guest()
    tab = await viewer.tab()
    assert (await viewer.http.delete("/api/session")).status_code == 204
    assert (await tab.expect("goodbye"))["reason"] == "signed_out"
    assert await tab.closed() == 4401
    refused = await viewer.http.get("/api/grid")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_closed")


async def test_a_session_more_than_half_used_is_renewed(live: Live) -> None:
    guest = await live.guest()
    soon = time.time() + SESSION_SECONDS / 3
    rules = live.app.server.callers.rules
    token = tokens.sign(rules, guest.id, UUID(_session_of(guest.token)), soon)
    live.app.server.callers.forget_profile(guest.id)
    browser = live.visitor()
    answer = await browser.http.get("/api/grid", headers={"Cookie": f"livewall_session={token}"})
    assert answer.status_code == 200
    renewed = next(
        c for c in answer.headers.get_list("set-cookie") if c.startswith("livewall_session=")
    )
    new_token = renewed.split("=", 1)[1].split(";")[0]
    claims = jwt.decode(new_token, OctKey.import_key(SECRET), algorithms=["HS256"]).claims
    assert claims["exp"] > soon + SESSION_SECONDS / 2


async def test_a_broken_cookie_makes_a_visitor_not_an_error(live: Live) -> None:
    http = live.visitor().http
    for cookie in ("livewall_session=nonsense", "livewall_session=", ";;;=", "a\x09b=c"):
        answer = await http.get("/api/streams", headers={"Cookie": cookie})
        assert answer.status_code == 200, cookie
        assert (await http.get("/api/session", headers={"Cookie": cookie})).json() == {
            "account": None
        }


@pytest.mark.abuse("T1")
async def test_forged_requests_are_refused(live: Live) -> None:
    browser = live.visitor()
    await browser.http.post("/api/session/guest", json={})
    csrf = browser.http.cookies["livewall_csrf"]
    good = {"Origin": live.url, "X-CSRF-Token": csrf}
    body = {"bio": "mine"}
    cases: list[tuple[dict[str, str], str]] = [
        ({}, "foreign_origin"),
        ({"X-CSRF-Token": csrf}, "foreign_origin"),
        ({"Origin": live.url}, "csrf"),
        (good | {"X-CSRF-Token": "0" * 64}, "csrf"),
        (good | {"X-CSRF-Token": ""}, "csrf"),
        (good | {"Origin": "https://evil.example"}, "foreign_origin"),
        (good | {"Origin": "null"}, "foreign_origin"),
    ]
    for headers, code in cases:
        answer = await browser.http.patch("/api/me", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code), headers
    assert (await browser.http.patch("/api/me", json=body, headers=good)).status_code == 200
    login = await live.visitor().http.post(
        "/api/session/guest", json={}, headers={"Origin": "https://evil.example"}
    )
    assert login.json()["code"] == "foreign_origin"


@pytest.mark.abuse("A16")
async def test_look_alike_names_are_taken(live: Live) -> None:
    await live.guest("modern.art")
    for name in ("MODERN.ART", "modem.art", "m0dern_art", "modernart"):
        answer = await live.visitor().http.post("/api/session/guest", json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken"), name
    for name in ("\u0430da", "a b c", "ab", "x" * 25, "admin", ".abc", "na\u200bme"):
        answer = await live.visitor().http.post("/api/session/guest", json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (422, "name_invalid"), name


async def test_deleting_the_account_removes_the_person(live: Live) -> None:
    viewer = await live.guest("vera")
    studio, stream_id = await viewer.go_live()
    other = await (await live.guest()).tab()
    assert (await viewer.http.delete("/api/me")).status_code == 204
    assert await studio.closed() == 4401
    ended = await other.expect("stream")
    assert ended["stream"]["id"] == str(stream_id)
    assert not ended["stream"]["live_available"]
    assert (await other_http(live).get("/api/profiles/vera")).status_code == 404
    assert (await viewer.http.get("/api/grid")).status_code == 401


def other_http(live: Live) -> httpx.AsyncClient:
    """Somebody who is not signed in."""
    return live.visitor().http


async def test_a_demo_streamer_is_marked_and_nobody_can_mark_themselves_later(live: Live) -> None:
    body = {"name": "ana", "demo": True, "return_token": True}
    answer = (await live.visitor().http.post("/api/session/guest", json=body)).json()
    assert answer["account"]["profile"]["is_demo"]
    person = await live.guest("vera")
    assert not person.profile["is_demo"]
    refused = await person.http.patch("/api/me", json={"is_demo": True})
    assert refused.status_code == 400


async def test_create_user_gives_a_working_token(live: Live) -> None:
    token = await asyncio.to_thread(
        accounts.create_user, live.settings, "operator.jo", "moderator", None
    )
    session = (await live.visitor(token).http.get("/api/session")).json()
    assert session["account"]["roles"] == ["moderator"]


async def test_a_burst_of_requests_asks_once_for_their_session(live: Live) -> None:
    guest = await live.guest()
    await asyncio.gather(*(guest.http.get("/api/grid") for _ in range(20)))
    text = (await live.visitor().http.get("/metrics")).text
    renewals = 'livewall_database_seconds_count{function="renew_session"} '
    before = float(text.split(renewals)[1].split()[0])
    live.app.server.callers.forget_profile(guest.id)
    await asyncio.gather(*(guest.http.get("/api/grid") for _ in range(20)))
    text = (await live.visitor().http.get("/metrics")).text
    assert float(text.split(renewals)[1].split()[0]) == before + 1
