"""Logs say what happened, and nothing about the person."""

import asyncio
import json
import re
import secrets

import httpx
import pytest
import structlog

from livewall.settings import PEERS_SEE_ADDRESSES
from tests.databases import Database
from tests.processes import free_port
from tests.server.world import Live, environment_for, started_process


@pytest.mark.abuse("T9")
async def test_logs_have_request_ids_and_no_personal_data(database: Database) -> None:
    port = free_port()
    environment = environment_for(database, port) | {"LIVEWALL_LOG": "json"}
    async with started_process(environment) as process:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url) as http:
            body = {"name": "private.person", "return_token": True}
            answer = await http.post(
                "/api/session/guest", json=body, headers={"X-Request-ID": "id-of-this-request"}
            )
            token = answer.json()["token"]
            profile_id = answer.json()["account"]["profile"]["id"]
            bearer = {"Authorization": f"Bearer {token}"}
            await http.patch("/api/me", json={"bio": "private words"}, headers=bearer)
            await http.get("/api/profiles/private.person")
            await http.get("/api/grid", headers={"Authorization": "Bearer wrong.token.here"})
        process.terminate()
        _, said = await asyncio.wait_for(process.communicate(), 10)
    lines = [json.loads(line) for line in said.decode().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [r["status"] for r in requests if r["method"] != "GET"] == [201, 200]
    assert any(r["request_id"] == "id-of-this-request" for r in requests)
    for personal in ("private", token, "wrong.token", profile_id):
        assert personal not in said.decode(), personal


async def test_a_wrong_password_of_the_server_is_told_with_what_to_do(database: Database) -> None:
    port = free_port()
    wrong = re.sub(r":[^:@/]+@", ":another@", database.authenticator_url)
    environment = environment_for(database, port) | {
        "LIVEWALL_LOG": "json",
        "LIVEWALL_AUTHENTICATOR_URL": wrong,
    }
    told: dict[str, dict[str, str]] = {}
    async with started_process(environment) as process:
        assert process.stderr is not None
        wanted = {"bus_lost", "job_refused", "not_registered", "leadership_lost"}
        wanted |= {"heartbeats_not_written"}
        while not wanted <= told.keys():
            line = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))
            told[line["event"]] = line
    for event in wanted:
        said = {name: told[event].get(name) for name in ("error", "sqlstate", "next")}
        assert said == {
            "error": "InvalidPasswordError",
            "sqlstate": "28P01",
            "next": "livewall db migrate",
        }, event
    assert "another" not in json.dumps(list(told.values()))


async def test_production_without_its_address_is_told(database: Database) -> None:
    environment = environment_for(database, free_port()) | {
        "LIVEWALL_LOG": "json",
        "LIVEWALL_ENV": "production",
        "LIVEWALL_SECRET": secrets.token_hex(32),
        "LIVEWALL_ACCEPT_PEER_ADDRESSES": PEERS_SEE_ADDRESSES,
    }
    async with started_process(environment) as process:
        assert process.stderr is not None
        first = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))
    assert (first["event"], first["level"]) == ("no_public_url", "warning")


async def test_what_visitors_meet_by_visiting_is_no_line_on_a_terminal(database: Database) -> None:
    port = free_port()
    async with started_process(environment_for(database, port)) as process:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url) as http:
            statuses = [
                (await http.get("/api/grid")).status_code,
                (await http.get("/api/profiles/nobody.here")).status_code,
                (await http.post("/api/session/guest", json={"name": "!"})).status_code,
                (await http.post("/api/session/guest", json={}, headers={"Origin": "http://x"})),
            ]
        process.terminate()
        _, said = await asyncio.wait_for(process.communicate(), 10)
    assert statuses[:3] == [401, 404, 422]
    lines = [line for line in said.decode().splitlines() if "request" in line.split()]
    assert len(lines) == 1  # a page elsewhere that calls us is worth a line
    assert "status=403" in lines[0]


BROKEN = """
CREATE OR REPLACE FUNCTION public.list_following() RETURNS jsonb LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'it broke' USING ERRCODE = 'XX000', DETAIL = 'private words'; END $$
"""


async def test_an_error_that_no_code_names_is_in_the_log(live: Live) -> None:
    guest = await live.guest()
    await (await live.database.admin()).execute(BROKEN)
    with structlog.testing.capture_logs() as logs:
        answer = await guest.http.get("/api/me/following")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    [broke] = [line for line in logs if line["event"] == "database_broke"]
    assert (broke["function"], broke["sqlstate"]) == ("list_following", "XX000")
    assert broke["message"] == "it broke"
    assert "private words" not in str(logs)
