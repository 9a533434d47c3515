"""What somebody changed in the database by hand, and `livewall db repair` after that."""

from pathlib import Path

import pytest

from livewall.preflight import expected
from tests.databases import Database
from tests.preflight.test_preflight_sabotage import changing
from tests.shell import Shell, on

CHANGES = {
    "policy chat_messages_select_all on public.chat_messages": (
        "DROP POLICY chat_messages_select_all ON public.chat_messages"
    ),
    "policy user_grid_slots_select_own on public.user_grid_slots": (
        "ALTER POLICY user_grid_slots_select_own ON public.user_grid_slots USING (true)"
    ),
    "function private.demand(uuid[],timestamp with time zone)": changing(
        "private.demand", "a.is_watching AND", ""
    ),
    "function private.clock()": (
        "CREATE OR REPLACE FUNCTION private.clock() RETURNS timestamptz LANGUAGE sql STABLE"
        " RETURN '2020-01-01'::timestamptz"
    ),
    "function private.is_without_money(jsonb)": "DROP FUNCTION private.is_without_money CASCADE",
    "trigger live_streams_revision on public.live_streams": (
        "ALTER TABLE public.live_streams DISABLE TRIGGER live_streams_revision"
    ),
    "row security public.gifts": "ALTER TABLE public.gifts DISABLE ROW LEVEL SECURITY",
    "grant EXECUTE on function private.clock() to anon": (
        "REVOKE EXECUTE ON FUNCTION private.clock FROM anon"
    ),
    "grant EXECUTE on function private.clean_text(text) to anon": (
        "GRANT EXECUTE ON FUNCTION private.clean_text TO anon WITH GRANT OPTION"
    ),
}
LEFT = {
    "grant SELECT on table private.credentials to anon": (
        "GRANT SELECT ON private.credentials TO anon",
        "REVOKE SELECT ON TABLE private.credentials FROM anon",
    ),
    "grant UPDATE on column public.live_streams.streamer_id to anon": (
        "GRANT UPDATE (streamer_id) ON public.live_streams TO anon",
        "REVOKE UPDATE (streamer_id) ON TABLE public.live_streams FROM anon",
    ),
    "policy everything on public.gifts": (
        "CREATE POLICY everything ON public.gifts USING (true)",
        "DROP POLICY everything ON public.gifts",
    ),
    "constraint gifts_not_to_oneself on public.gifts": (
        "ALTER TABLE public.gifts DROP CONSTRAINT gifts_not_to_oneself",
        (
            "ALTER TABLE public.gifts ADD CONSTRAINT gifts_not_to_oneself"
            " CHECK ((sender_id <> recipient_id))"
        ),
    ),
    "function public.mine()": (
        (
            "SET ROLE livewall_owner; CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql"
            " RETURN 1; RESET ROLE"
        ),
        "DROP FUNCTION public.mine()",
    ),
}


@pytest.fixture
def shell(database: Database, tmp_path: Path) -> Shell:
    """The command, on this test's database."""
    return on(database, tmp_path)


async def _differing(database: Database) -> set[str]:
    wanted, found = (
        expected.read_expected(),
        await expected.read_schema(await database.admin()),
    )
    return {item for item in wanted.keys() | found.keys() if wanted.get(item) != found.get(item)}


@pytest.mark.spec("S29")
async def test_what_is_ours_is_made_again(database: Database, shell: Shell) -> None:
    admin = await database.admin()
    for statement in CHANGES.values():
        await admin.execute(statement)
    assert await _differing(database) >= CHANGES.keys()
    assert shell.ok("db", "migrate") == ""
    assert await _differing(database) >= CHANGES.keys()
    repaired = shell.read("db", "repair")
    assert await _differing(database) == set()
    mended = {difference["item"]: difference for difference in repaired["mended"]}
    assert mended.keys() >= CHANGES.keys()
    demand = mended["function private.demand(uuid[],timestamp with time zone)"]
    assert "a.is_watching AND" in demand["expected"]
    assert "CREATE OR REPLACE" in demand["found"]
    assert "a.is_watching AND" not in demand["found"]
    policy = mended["policy chat_messages_select_all on public.chat_messages"]
    assert (policy["found"], bool(policy["expected"])) == ("", True)
    assert repaired["left"] == []
    assert shell.read("db", "repair") == {"mended": [], "left": []}


@pytest.mark.spec("S29")
async def test_what_is_not_ours_stays_and_is_named(database: Database, shell: Shell) -> None:
    admin = await database.admin()
    for statement, _ in LEFT.values():
        await admin.execute(statement)
    before = await _differing(database)
    found = shell.run("db", "repair")
    assert found.returncode == 1
    assert await _differing(database) == before >= LEFT.keys()
    for item, (_, undoing) in LEFT.items():
        assert f"left    {item}\n        {undoing};\n" in found.stdout
    await admin.execute("; ".join(undoing for _, undoing in LEFT.values()))
    assert await _differing(database) == set()
