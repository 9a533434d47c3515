"""Each item is broken on purpose, alone, and is seen to flip, alone."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest

from livewall.preflight import checks, storage
from livewall.preflight.checks import Site
from tests.preflight.conftest import JOBS, Stage


def _nearly_full(_folder: Path) -> tuple[int, int]:
    return 100 * 2**30, 9 * 2**30


def _believe(*_arguments: object) -> bool:
    return True


async def _plain(_url: str) -> Mapping[str, str]:
    return {}


async def _silent(_url: str) -> Mapping[str, str]:
    raise httpx.ConnectError("nobody there")


def changing(function: str, old: str, new: str) -> str:
    """Return a statement that creates a function again with other text in it."""
    return f"""DO $sabotage$
    DECLARE
        v_text text := pg_get_functiondef((SELECT oid FROM pg_proc WHERE oid::regproc = '{function}'::regproc));
    BEGIN
        ASSERT strpos(v_text, $old${old}$old$) > 0, 'that text is not there';
        EXECUTE replace(v_text, $old${old}$old$, $new${new}$new$);
    END $sabotage$"""  # noqa: E501


SQL = {
    "row security off": ("ALTER TABLE public.gifts DISABLE ROW LEVEL SECURITY", "S29"),
    "a policy dropped": ("DROP POLICY chat_messages_select_all ON public.chat_messages", "S29"),
    "a grant too many": ("GRANT SELECT ON private.credentials TO anon", "S29"),
    "a column granted": ("GRANT UPDATE (streamer_id) ON public.live_streams TO anon", "S29"),
    "a trigger disabled": (
        "ALTER TABLE public.live_streams DISABLE TRIGGER live_streams_revision",
        "S29",
    ),
    "a function for everybody": ("GRANT EXECUTE ON FUNCTION private.fold TO PUBLIC", "S29"),
    "a function without its definer": ("ALTER FUNCTION public.my_wallet SECURITY INVOKER", "S29"),
    "a rule dropped": (
        "ALTER TABLE public.gifts DROP CONSTRAINT gifts_not_to_oneself",
        "S29",
    ),
    "a rule that writes elsewhere": (
        "CREATE RULE copies AS ON INSERT TO public.gifts DO ALSO NOTIFY copied",
        "S29",
    ),
    "a view around policies": (
        (
            "CREATE VIEW public.people AS SELECT * FROM private.credentials;"
            "GRANT SELECT ON public.people TO anon"
        ),
        "S29",
    ),
    "a view of a view around policies": (
        (
            "CREATE VIEW public.people AS SELECT * FROM private.credentials;"
            "CREATE VIEW public.hashes AS SELECT * FROM public.people;"
            "GRANT SELECT ON public.hashes TO authenticated"
        ),
        "S29",
    ),
    "a copy of what is private": (
        (
            "CREATE MATERIALIZED VIEW public.people AS SELECT * FROM private.credentials;"
            "GRANT SELECT ON public.people TO anon"
        ),
        "S29",
    ),
    "a view in another schema": (
        (
            "CREATE SCHEMA reports; GRANT USAGE ON SCHEMA reports TO anon;"
            "CREATE VIEW reports.people AS SELECT * FROM public.profiles;"
            "GRANT SELECT ON reports.people TO anon"
        ),
        "S29",
    ),
    "somebody else in schema private": (
        "CREATE FUNCTION private.hello() RETURNS text LANGUAGE sql AS $$ SELECT 'hello' $$",
        "S29",
    ),
    "the publish job never ran": (f"DELETE FROM private.job_runs WHERE job = '{JOBS[0]}'", "S30"),
    "the publish job fails": (
        f"UPDATE private.job_runs SET last_success_at = NULL WHERE job = '{JOBS[0]}'",
        "S30",
    ),
    "the cleanup is late": (
        (
            "UPDATE private.job_runs SET last_success_at = last_success_at - interval '3 minutes'"
            f" WHERE job = '{JOBS[1]}'"
        ),
        "S31",
    ),
    "no limit": (
        (
            "ALTER TABLE private.money_settings ALTER purchase_limit DROP NOT NULL;"
            "UPDATE private.money_settings SET purchase_limit = NULL"
        ),
        "S32",
    ),
    "one approver left": (
        (
            "DELETE FROM private.staff_roles USING public.profiles AS p"
            " WHERE p.id = profile_id AND p.name = 'mia'"
        ),
        "S33",
    ),
    "an approver banned": (
        (
            "INSERT INTO private.bans (profile_id, reason)"
            " SELECT id, 'gone' FROM public.profiles WHERE name = 'mia'"
        ),
        "S33",
    ),
    "an approver without a password": (
        (
            "DELETE FROM private.credentials USING public.profiles AS p"
            " WHERE p.id = profile_id AND p.name = 'mia'"
        ),
        "S33",
    ),
    "approvers who may not ask": (
        "REVOKE EXECUTE ON FUNCTION public.list_held_purchases FROM authenticated",
        "S29 S33",
    ),
    "a higher threshold": ("UPDATE private.money_settings SET approval_threshold = 30000", "S33"),
    "a heartbeat that says nothing": (
        changing("public.update_viewer_heartbeat", "ARRAY[v_flags]", "ARRAY[0::smallint]"),
        "S29 S34",
    ),
    "silence of 90 seconds": ("UPDATE private.settings SET viewer_silence = '90 s'", "S35"),
    "silence of 50 seconds": ("UPDATE private.settings SET viewer_silence = '50 s'", "S35"),
    "silence of 55 seconds": ("UPDATE private.settings SET viewer_silence = '55 s'", "S35"),
    "a cleanup of nothing": (
        changing("private.remove_stale_viewers", "rule.viewer_silence", "interval '1 day'"),
        "S29 S35",
    ),
    "six purchases a minute": ("UPDATE private.money_settings SET purchases_per_minute = 6", "S36"),
    "no velocity check": (
        changing("private.admit_purchase", "v_recent >= v_rule.purchases_per_minute", "false"),
        "S29 S36",
    ),
    "no limit checked": (
        changing("private.admit_purchase", "p_usd_amount > v_rule.purchase_limit", "false"),
        "S29 S37",
    ),
    "nothing held": (
        changing("private.admit_purchase", "p_usd_amount > v_rule.approval_threshold", "false"),
        "S29 S37",
    ),
    "one's own approval": (
        changing("public.decide_purchase", "v_purchase.profile_id = v_caller", "false"),
        "S29 S37",
    ),
    "walls for all to read": (
        "ALTER POLICY user_grid_slots_select_own ON public.user_grid_slots USING (true)",
        "S29 S38",
    ),
    **{
        f"own walls that nobody may {verb}": (
            f"DROP POLICY user_grid_slots_{verb}_own ON public.user_grid_slots",
            "S29 S38",
        )
        for verb in ("select", "insert", "update", "delete")
    },
    "walls for all to change": (
        (
            "ALTER POLICY user_grid_slots_select_own ON public.user_grid_slots USING (true);"
            "ALTER POLICY user_grid_slots_update_own ON public.user_grid_slots USING (true)"
            " WITH CHECK (true)"
        ),
        "S29 S38",
    ),
    "a camera on for who looks away": (
        changing("private.demand", "a.is_watching AND", ""),
        "S29 S39",
    ),
    "a state to be written": (
        "GRANT UPDATE (is_published) ON public.live_streams TO authenticated",
        "S29 S39",
    ),
    "a state to be written by servers": (
        "GRANT UPDATE (is_published) ON public.live_streams TO service_role",
        "S29 S39",
    ),
    "a camera left on": ("UPDATE private.settings SET linger = '10 minutes'", "S39"),
    "old code": ("UPDATE private.code_files SET checksum = '' WHERE file = 'code/chat.sql'", "P7"),
    "a coin from nowhere": (
        (
            "INSERT INTO private.ledger_accounts (kind, profile_id, currency, balance)"
            " SELECT 'wallet', id, 'coins', 1 FROM public.profiles WHERE name = 'mia'"
        ),
        "P12",
    ),
    # The head that was kept is in the chain all the same.
    "a seal that does not match": (
        (
            "INSERT INTO private.ledger_seals (number, transaction_ids, total_transactions,"
            " previous_hash, hash) VALUES"
            " (1, '{}', 0, private.first_hash(), private.first_hash())"
        ),
        "P12 P13",
    ),
}
# Which requirement a sabotage proves is where its flip is stated.
CASES = [
    pytest.param(
        statement, flips, id=name, marks=pytest.mark.spec(*[i for i in flips.split() if i > "S"])
    )
    if "S" in flips
    else pytest.param(statement, flips, id=name)
    for name, (statement, flips) in SQL.items()
]


@pytest.mark.parametrize(("statement", "flips"), CASES)
async def test_what_is_broken_in_the_database_fails_alone(
    stage: Stage, statement: str, flips: str
) -> None:
    await stage.admin.execute(statement)
    seen = await stage.seen()
    wrong = {item: found.status for item, found in seen.items() if found.status != "pass"}
    assert wrong == dict.fromkeys(flips.split(), "fail"), {
        item: seen[item].evidence for item in wrong
    }
    assert all(seen[item].next for item in wrong)


@pytest.mark.spec("S29")
async def test_a_caller_who_reads_everything(stage: Stage) -> None:
    # Roles are the whole server's, so this one is put right again.
    await stage.admin.execute("GRANT pg_read_all_data TO anon")
    try:
        assert await stage.wrong("S29") == {"S29": "fail"}
    finally:
        await stage.admin.execute("REVOKE pg_read_all_data FROM anon")


def having(**changes: object) -> Callable[[Site], Site]:
    """Return what gives a site other settings."""
    return lambda site: replace(site, settings=msgspec.structs.replace(site.settings, **changes))


SITES: dict[str, tuple[Callable[[Site], Site], dict[str, str]]] = {
    "development": (having(env="development"), {"P1": "fail", "P5": "fail"}),
    "a secret of one letter": (having(secret="a" * 40), {"P2": "fail"}),
    "no secret": (having(secret=""), {"P2": "fail"}),
    "the sandbox": (having(payments="sandbox"), {"P3": "fail"}),
    "test keys": (having(stripe_secret_key="sk_test_x"), {"P3": "fail"}),
    "addresses seen": (having(accept_peer_addresses=""), {"P4": "fail"}),
    "a relay that is silent": (
        having(turn_relay_only=True, turn_url="turn:127.0.0.1:1,turns:127.0.0.1:1"),
        {"P4": "not_proven"},
    ),
    "no https": (having(public_url="http://live.example"), {"P5": "fail"}),
    "another server": (lambda site: replace(site, fetch=_plain), {"P5": "fail"}),
    "no answer": (lambda site: replace(site, fetch=_silent), {"P5": "not_proven"}),
    "no webhook secret": (having(stripe_webhook_secret=""), {"P6": "fail"}),
    "no backup": (lambda site: replace(site, newest_backup=lambda: None), {"P9": "not_proven"}),
    "an old backup": (
        lambda site: replace(site, newest_backup=lambda: datetime.now(UTC) - timedelta(hours=25)),
        {"P9": "fail"},
    ),
    "a backup of the future": (
        lambda site: replace(site, newest_backup=lambda: datetime.now(UTC) + timedelta(hours=1)),
        {"P9": "fail"},
    ),
    "a full disk": (
        lambda site: replace(site, space=_nearly_full),
        {"P11": "fail"},
    ),
    "no head": (lambda site: replace(site, head=""), {"P13": "not_proven"}),
    "the server can not log in": (
        lambda site: replace(site, web=None),
        {"S33": "not_proven", "S38": "not_proven"},
    ),
}


async def test_what_is_set_wrong_flips_alone(stage: Stage) -> None:
    # Preflight changes nothing, so one database is enough for all of them.
    good = stage.site
    for name, (change, flips) in SITES.items():
        stage.site = change(good)
        assert await stage.wrong() == flips, name


@pytest.mark.spec("S30", "S31")
async def test_jobs_that_ran_but_nobody_leads_any_more(stage: Stage) -> None:
    await stage.leader.execute("SELECT pg_advisory_unlock_all()")
    assert await stage.wrong() == {"S30": "fail", "S31": "fail"}


@pytest.mark.spec("S35")
async def test_a_slow_cleanup_is_no_failure(stage: Stage) -> None:
    slow = changing("private.remove_stale_viewers", "RETURN v_", "PERFORM pg_sleep(1); RETURN v_")
    await stage.admin.execute(slow)
    assert await stage.wrong("S35") == {}


async def test_a_proxy_without_a_server_is_no_answer(stage: Stage) -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nStrict-Transport-Security: max-age=1\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"

        async def fetch(_url: str) -> Mapping[str, str]:
            return await checks.fetch(url)

        stage.site = replace(stage.site, fetch=fetch)
        assert await stage.wrong("P5") == {"P5": "not_proven"}


@pytest.mark.spec("S39")
async def test_after_a_restart_it_says_when_to_run_it_again(stage: Stage) -> None:
    await stage.admin.execute("UPDATE private.settings SET restart_grace = '100 years'")
    found = (await stage.seen("S39"))["S39"]
    assert (found.status, found.next[:16]) == ("not_proven", "Run it again in ")


async def test_a_head_that_is_not_in_the_chain(stage: Stage) -> None:
    stage.site.head = "0" * 64
    assert await stage.wrong() == {"P13": "fail"}


async def test_a_forged_report_that_is_believed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripe.WebhookSignature.verify_header", _believe)
    assert await stage.wrong() == {"P6": "fail"}


async def test_a_clock_that_is_wrong(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() - 60)
    monkeypatch.setattr(storage, "time", wrong)
    assert await stage.wrong() == {"P10": "fail"}


async def test_a_disk_that_may_not_be_looked_at_says_who_may_allow_it(stage: Stage) -> None:
    role = f"plain_{secrets.token_hex(4)}"  # one of all databases
    await stage.admin.execute(f"CREATE ROLE {role}; SET ROLE {role}")
    try:
        seen = (await stage.seen("P11"))["P11"]
        assert (seen.status, seen.evidence) == (
            "not_proven",
            f"role {role} may not read where the data is",
        )
        assert seen.next.startswith(f"GRANT pg_read_all_settings TO {role}, as a superuser")
        await stage.admin.execute(
            f"RESET ROLE; GRANT pg_read_all_settings TO {role}; SET ROLE {role}"
        )
        assert (await stage.seen("P11"))["P11"].status == "pass"
    finally:
        await stage.admin.execute(f"RESET ROLE; DROP ROLE {role}")


@pytest.mark.parametrize("name", storage.DURABLE)
def test_what_a_power_cut_would_take(name: str) -> None:
    durable = dict.fromkeys(storage.DURABLE, "on")
    assert storage.judge_durability(durable).status == "pass"
    assert storage.judge_durability(durable | {name: "off"}).status == "fail"
