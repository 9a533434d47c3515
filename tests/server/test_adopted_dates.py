"""Pages and sockets of people who came from a database in which dates could be anything."""

import time
from typing import Any

import pytest

from livewall import tokens
from livewall.administrator import set_authenticator_password
from livewall.adoption import adopt
from livewall.code_catalog import Connection
from tests.databases import Database
from tests.server.world import Live, Visitor, serving, settings_for
from tests.sql.previous import settle

# Dates that PostgreSQL stores, and that no page can show.
DATES = """
UPDATE profiles SET created_at = 'infinity' WHERE username = 'old_1';
UPDATE live_streams SET created_at = '-infinity' WHERE profile_id = md5('old 1')::uuid;
UPDATE chat_messages SET created_at = 'infinity' WHERE live_stream_id = md5('stream 1')::uuid;
UPDATE gifts SET created_at = '290000-01-01' WHERE sender_id = md5('old 1')::uuid;
UPDATE coin_purchases SET created_at = '20000-01-01' WHERE user_id = md5('old 1')::uuid;
"""


@pytest.mark.spec("S28")
async def test_impossible_dates_of_then_break_no_page_and_no_socket(
    empty_database: Database,
) -> None:
    admin = await empty_database.admin()
    await settle(admin, 15, accounts=False)
    await admin.execute(DATES)
    assert (await adopt(empty_database.admin_url, apply=True)).outcome == "adopted"
    await set_authenticator_password(empty_database.admin_url, empty_database.authenticator_url)
    async with serving(settings_for(empty_database), empty_database) as live:
        person = await _back_again(live, admin)
        stream = await admin.fetchval("SELECT md5('stream 1')::uuid")
        assert (await _page(person, "/profiles/old_1"))["name"] == "old_1"
        chat = await _page(person, f"/streams/{stream}/chat")
        assert [message["body"] for message in chat["messages"]] == ["Hello"]
        kinds = [entry["kind"] for entry in (await _page(person, "/wallet/statement"))["entries"]]
        assert sorted(kinds) == ["gift", "opening", "purchase"]
        assert len((await _page(person, "/purchases"))["purchases"]) == 1
        await person.tab()


async def _back_again(live: Live, admin: Connection) -> Visitor:
    """Whoever was `old_1`, signed in."""
    person = await admin.fetchval("SELECT id FROM profiles WHERE name = 'old_1'")
    session = await admin.fetchval(
        "INSERT INTO private.sessions (profile_id, expires_at)"
        " VALUES ($1, now() + interval '1 day') RETURNING id",
        person,
    )
    soon = time.time() + 3600
    return live.visitor(tokens.sign(live.app.server.callers.rules, person, session, soon))


async def _page(person: Visitor, path: str) -> dict[str, Any]:
    answer = await person.http.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()
