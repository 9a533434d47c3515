"""Every privilege of every role on everything in the schemas, against one table to review.

What the catalogue grants and this file does not expect fails, and so does the reverse: a new table,
column, function or grant has to be written down here. The same table holds for a Supabase project
into which the CLI has put a bundle.
"""

import re
from collections.abc import AsyncGenerator, Iterable

import pytest
import pytest_asyncio

from tests.databases import Cluster
from tests.sql.world import World, new_world

pytestmark = pytest.mark.sql

API = ("anon", "authenticated", "service_role")
ROLES = ("PUBLIC", *API, "authenticator")
SHORT = {
    "anon": "a",
    "authenticated": "u",
    "service_role": "s",
    "authenticator": "l",
    "PUBLIC": "*",
}

# Table: who may SELECT and DELETE whole rows (a anon, u authenticated, s service_role), then the
# columns that signed-in people may INSERT and UPDATE. Nothing else exists for anybody.
TABLES = """
public.profiles         select:aus delete:-  insert:-  update:name,display_name,bio
public.user_links       select:aus delete:u  insert:profile_id,position,label,url  update:position,label,url
public.follows          select:aus delete:u  insert:follower_id,followee_id  update:-
public.blocks           select:u   delete:-  insert:blocker_id,blocked_id  update:-
public.live_streams     select:aus delete:-  insert:-  update:live_available,title,slow_mode_seconds
public.user_grid_slots  select:u   delete:u  insert:viewer_id,slot_index,streamer_id,is_pinned,is_muted,is_active,volume  update:slot_index,streamer_id,is_pinned,is_muted,is_active,volume
public.active_viewers   select:u   delete:u  insert:live_stream_id,viewer_id,session_id,is_active,is_unmuted,is_visible,is_subscribed  update:is_active,is_unmuted,is_visible,is_subscribed
public.chat_messages    select:aus delete:-  insert:live_stream_id,sender_id,type,body  update:-
public.ledger_entries   select:u   delete:-  insert:-  update:-
public.coin_packs       select:aus delete:-  insert:-  update:-
public.coin_purchases   select:u   delete:-  insert:-  update:-
public.gift_types       select:aus delete:-  insert:-  update:-
public.gifts            select:aus delete:-  insert:-  update:-
"""  # noqa: E501 - one line a table reads better than three

# Tables without a single privilege for any role that a caller can have.
CLOSED = """
auth.users
private.bans private.chat_buckets private.chat_mutes private.chat_reports private.code_files
private.code_objects private.credentials private.job_runs private.live_intervals private.previews
private.publish_intervals private.publisher_leases private.records_since
private.sandbox_events private.sandbox_payments
private.schema_migrations private.server_starts
private.sessions private.settings private.staff_roles
private.audit_log private.disputes private.events private.ledger_accounts private.ledger_queue
private.ledger_seals private.ledger_transactions private.money_settings private.outbox
private.payment_events private.provider_calls private.purchase_transitions private.refunds
"""

# Functions by who may call them; what is not listed, nobody may.
FUNCTIONS = {
    "aus": """
        auth.jwt auth.role auth.uid public.explain_publish_state
        private.clean_text private.clock private.mark_class private.name_skeleton
        private.acting_profile private.fail private.person_json private.profile_json
        private.stream_json
    """,
    "au": """
        public.get_preview public.get_profile public.get_stream public.list_chat_messages
        public.list_live_streams public.list_coin_packs public.list_gift_types
        private.chat_message_json private.links_json private.my_blocked private.my_blocks
        private.profile_by_name private.require_caller
    """,
    "u": """
        public.ban_profile public.block public.delete_account public.delete_chat_message
        public.follow public.get_grid public.list_blocks public.list_chat_reports
        public.list_following
        public.list_publish_intervals public.mute_in_chat public.my_account public.replace_links
        public.report_chat_message public.save_grid public.send_chat_message
        public.socket_snapshot public.start_stream public.stop_stream public.store_preview
        public.unban_profile public.unblock public.unfollow public.unmute_in_chat
        public.update_profile public.update_stream public.update_viewer_heartbeat
        private.admit_direct_update private.admit_direct_write private.has_staff_role
        private.lock_acting_viewer private.may_moderate
        public.admit_preview
        public.cancel_my_purchase public.configure_purchases public.decide_purchase
        public.get_my_purchase
        public.list_my_purchases public.list_statement
        public.my_wallet public.process_gift
        public.refund_purchase private.my_ledger_accounts
    """,
    "us": """
        public.get_purchase_settings public.ledger_status public.list_audit
        public.list_held_purchases public.list_payment_events
    """,
    "s": """
        public.cleanup_stale_viewers public.close_session public.configure public.create_account
        public.create_guest public.ensure_profile public.find_credentials public.find_locked
        public.grant_staff_role public.job_runs public.list_accounts public.open_session
        public.record_heartbeats public.remove_old_records
        public.record_job_run public.record_leaves public.record_publisher_heartbeats
        public.register_server_start public.renew_session public.set_password_hash
        public.sweep_publish_state public.update_publish_state_from_viewers
        public.attach_payment public.create_coin_purchase public.deliver_outbox public.process_gifts
        public.expire_purchases public.finish_provider_call public.fold_ledger
        public.get_payment_event public.get_purchase public.process_coin_purchase
        public.process_payment_event
        public.receive_payment_event public.replay_payment_event public.take_events
        public.take_payment_events public.take_provider_calls
        public.act_on_sandbox_payment public.cancel_sandbox_payment
        public.capture_sandbox_payment public.create_sandbox_payment public.get_sandbox_payment
        public.note_sandbox_delivery public.refund_sandbox_payment public.take_sandbox_events
    """,
    "l": "public.call_as",
}

# The effective privilege, by whatever way it was granted, PUBLIC included.
RELATIONS = """
SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text, c.oid
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'private', 'auth') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND c.relname <> 'test_clock'
"""
TABLE_VERBS = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
ON_TABLES = """
SELECT format('%s %s on %s', r.role, v.verb, t.name)
FROM unnest($1::text[]) AS r (role), unnest($2::text[]) AS v (verb),
    unnest($3::text[], $4::oid[]) AS t (name, id)
WHERE has_table_privilege(r.role, t.id, v.verb)
"""
ON_SEQUENCES = ON_TABLES.replace("has_table_privilege", "has_sequence_privilege")
ON_COLUMNS = """
SELECT format('%s %s on %s.%s', r.role, v.verb, t.name, a.attname)
FROM unnest($1::text[]) AS r (role), unnest($2::text[]) AS v (verb),
    unnest($3::text[], $4::oid[]) AS t (name, id)
JOIN pg_attribute AS a ON a.attrelid = t.id AND a.attnum > 0 AND NOT a.attisdropped
WHERE has_column_privilege(r.role, t.id, a.attnum, v.verb)
"""
ON_FUNCTIONS = """
SELECT format('%s calls %I.%I', r.role, n.nspname, p.proname)
FROM unnest($1::text[]) AS r (role), pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('public', 'private', 'auth')
    AND has_function_privilege(r.role, p.oid, 'EXECUTE')
"""
PUBLIC_GRANTS = """
SELECT format('PUBLIC %s on %s', privilege.privilege_type, target)
FROM (
    SELECT format('%s.%s', c.relnamespace::regnamespace, c.relname), c.relnamespace, c.relacl,
        acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)
    FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT p.oid::regprocedure::text, p.pronamespace, p.proacl, acldefault('f', p.proowner)
    FROM pg_proc AS p
    UNION ALL
    SELECT t.oid::regtype::text, t.typnamespace, t.typacl, acldefault('T', t.typowner)
    FROM pg_type AS t WHERE t.typtype IN ('e', 'd', 'r')
) AS object (target, schema, acl, fallback), aclexplode(coalesce(acl, fallback)) AS privilege
WHERE schema::regnamespace::text IN ('public', 'private', 'auth') AND privilege.grantee = 0
    AND target <> 'private.test_clock'
"""
SCHEMAS = """
SELECT format('%s %s on %s', r.role, v.verb, n.nspname)
FROM unnest($1::text[]) AS r (role), unnest('{USAGE,CREATE}'::text[]) AS v (verb), pg_namespace AS n
WHERE n.nspname IN ('public', 'private', 'auth') AND has_schema_privilege(r.role, n.oid, v.verb)
"""


@pytest.fixture(params=["migrated", "bundled"])
def installation(request: pytest.FixtureRequest) -> tuple[Cluster, str]:
    """A way of installing: by our own runner, or by a bundle in a project."""
    if request.param == "migrated":
        return request.getfixturevalue("cluster"), request.getfixturevalue("world_template")
    return request.getfixturevalue("platform"), request.getfixturevalue("bundled_template")


@pytest_asyncio.fixture
async def world(installation: tuple[Cluster, str]) -> AsyncGenerator[World]:
    """A database installed that way, with nothing of a project's own in public."""
    async with new_world(*installation) as fresh:
        await fresh.admin.execute("DROP TABLE IF EXISTS public.todos")
        yield fresh


async def is_project(world: World) -> bool:
    """Say whether schema auth and the callers' roles are a project's, and not ours to shape."""
    return bool(await world.rows("SELECT FROM pg_roles WHERE rolname = 'supabase_admin'"))


def roles_of(letters: str) -> Iterable[str]:
    """Return the roles that letters stand for; a dash stands for nobody."""
    return (role for role in ROLES if SHORT[role] in letters)


def expected_tables() -> dict[str, dict[str, str]]:
    """Read TABLES: name -> verb -> letters or columns."""
    table: dict[str, dict[str, str]] = {}
    for line in TABLES.strip().splitlines():
        name, *cells = line.split()
        table[name] = dict(re.findall(r"(\w+):(\S+)", " ".join(cells)))
    return table


def expected_rows() -> set[str]:
    """Return the expected privileges on whole tables."""
    return {
        f"{role} {verb.upper()} on {name}"
        for name, cells in expected_tables().items()
        for verb in ("select", "delete")
        for role in roles_of(cells[verb])
    }


def expected_columns(columns: dict[str, list[str]]) -> set[str]:
    """Return the expected privileges on columns; SELECT covers every column of a table."""
    found: set[str] = set()
    for name, cells in expected_tables().items():
        found |= {
            f"{role} SELECT on {name}.{column}"
            for role in roles_of(cells["select"])
            for column in columns[name]
        }
        for verb in ("insert", "update"):
            granted = [] if cells[verb] == "-" else cells[verb].split(",")
            found |= {f"authenticated {verb.upper()} on {name}.{column}" for column in granted}
    return found


def expected_functions() -> set[str]:
    """Return the expected privileges on functions."""
    return {
        f"{role} calls {function}"
        for letters, functions in FUNCTIONS.items()
        for function in functions.split()
        for role in roles_of(letters)
    }


def compare(found: Iterable[str], expected: Iterable[str]) -> None:
    """Fail with the two lists that matter to a reviewer."""
    unexpected, missing = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    assert (unexpected, missing) == ([], []), f"unexpected: {unexpected}\nmissing: {missing}"


async def names(world: World, query: str, *arguments: object) -> list[str]:
    """Return the first column of a catalogue query."""
    return [row[0] for row in await world.rows(query, *arguments)]


async def relations(world: World, kinds: str) -> tuple[list[str], list[int]]:
    """Return names and oids of the relations of these kinds."""
    rows = [row for row in await world.rows(RELATIONS) if row[1] in kinds]
    return [row[0] for row in rows], [row[2] for row in rows]


@pytest.mark.spec("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S29")
async def test_every_role_has_exactly_these_privileges_on_tables(world: World) -> None:
    tables = await relations(world, "rpvmf")
    compare(tables[0], [*expected_tables(), *CLOSED.split()])
    verbs = list(TABLE_VERBS)
    if await world.admin.fetchval("SELECT current_setting('server_version_num')::int") >= 170000:
        verbs.append("MAINTAIN")
    roles = [*API, "authenticator"]
    compare(await names(world, ON_TABLES, roles, verbs, *tables), expected_rows())


@pytest.mark.spec("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S29")
@pytest.mark.abuse("A3")
async def test_every_role_has_exactly_these_privileges_on_columns(world: World) -> None:
    tables = await relations(world, "rpvmf")
    columns: dict[str, list[str]] = {name: [] for name in tables[0]}
    for name, column in await world.rows(
        "SELECT format('%s.%s', table_schema, table_name), column_name"
        " FROM information_schema.columns WHERE table_schema IN ('public', 'private', 'auth')"
    ):
        columns.setdefault(name, []).append(column)
    verbs = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]
    found = await names(world, ON_COLUMNS, [*API, "authenticator"], verbs, *tables)
    compare(found, expected_columns(columns))


@pytest.mark.spec("S29")
async def test_no_role_may_use_a_sequence(world: World) -> None:
    sequences = await relations(world, "S")
    assert len(sequences[0]) >= 4
    verbs = ["USAGE", "SELECT", "UPDATE"]
    compare(await names(world, ON_SEQUENCES, [*API, "authenticator"], verbs, *sequences), [])


@pytest.mark.spec("S29")
async def test_every_function_is_for_exactly_these_roles(world: World) -> None:
    expected = expected_functions()
    if await is_project(world):
        expected |= {f"authenticator calls auth.{name}" for name in ("jwt", "role", "uid")}
    compare(await names(world, ON_FUNCTIONS, [*API, "authenticator"]), expected)


@pytest.mark.spec("S29")
async def test_public_has_nothing(world: World) -> None:
    theirs: list[str] = []
    if await is_project(world):
        theirs = [f"PUBLIC EXECUTE on auth.{name}()" for name in ("jwt", "role", "uid")]
    compare(await names(world, PUBLIC_GRANTS), theirs)


@pytest.mark.spec("S29")
async def test_private_is_closed_and_nobody_creates(world: World) -> None:
    found = await names(world, SCHEMAS, [*API, "authenticator"])
    used = [f"{role} USAGE on {schema}" for role in API for schema in ("public", "auth")]
    compare(found, [*used, "authenticator USAGE on public"])


@pytest.mark.spec("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S29")
async def test_row_level_security_is_on_everywhere_and_each_policy_is_known(world: World) -> None:
    off = await names(
        world,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace AND NOT relrowsecurity",
    )
    compare(off, [])
    found = await names(world, "SELECT format('%s %s %s', tablename, cmd, roles) FROM pg_policies")
    expected: list[str] = []
    for name, cells in expected_tables().items():
        table = name.removeprefix("public.")
        readers = {"aus": "{anon,authenticated,service_role}", "u": "{authenticated}"}
        expected.append(f"{table} SELECT {readers[cells['select']]}")
        expected += [
            f"{table} {verb.upper()} {{authenticated}}"
            for verb in ("insert", "update", "delete")
            if cells[verb] != "-"
        ]
    compare(found, expected)


@pytest.mark.spec("S29")
async def test_no_role_of_a_caller_bypasses_policies_or_inherits(world: World) -> None:
    rows = await world.rows(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND (rolsuper OR rolbypassrls"
        " OR rolcreaterole OR rolcreatedb OR rolreplication)",
        [*API, "authenticator", "livewall_owner"],
    )
    # A project's service_role passes policies, as everybody there knows; ours goes by them.
    bundled = await is_project(world)
    assert rows == ([("service_role",)] if bundled else [])
    members = await world.rows(
        "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members"
        " WHERE member::regrole::text = ANY ($1) ORDER BY 1",
        [*API, "authenticator", "livewall_owner"],
    )
    owners = [("anon", "livewall_owner")] if bundled else []
    assert sorted(members) == sorted([*owners, *((role, "authenticator") for role in API)])
