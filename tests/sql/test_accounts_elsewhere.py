"""auth.users belongs to somebody else's sign-in service, as in a Supabase project."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from livewall.code_catalog import Connection
from livewall.migrate import Outcome, migrate
from livewall.sql_files import SQL_FOLDER, MigrationError
from tests.databases import Cluster, Person
from tests.shell import on
from tests.sql.world import CLOCK, Beat, World, new_world, refused

ADA = UUID(int=1)
# Roles belong to the whole server, so a run makes this one once. What Supabase's service keeps in
# users is more; all that we may rely on is the key.
ELSEWHERE = f"""
DO $$ BEGIN
    IF to_regrole('sign_in_service') IS NULL THEN CREATE ROLE sign_in_service NOLOGIN; END IF;
END $$;
CREATE SCHEMA auth AUTHORIZATION sign_in_service;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
SET ROLE sign_in_service;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
INSERT INTO auth.users VALUES ('{ADA}', 'ada@example.com');
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
RETURN nullif(current_setting('request.jwt.claims', true), '')::jsonb;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE RETURN (auth.jwt() ->> 'sub')::uuid;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE RETURN auth.jwt() ->> 'role';
RESET ROLE;
"""
PRIVILEGES = """
SELECT relacl::text FROM pg_class WHERE oid = 'auth.users'::regclass
UNION ALL SELECT nspacl::text FROM pg_namespace WHERE nspname IN ('auth', 'public', 'private')
UNION ALL SELECT defaclacl::text FROM pg_default_acl
UNION ALL SELECT oid::regprocedure || coalesce(proacl::text, '') FROM pg_proc
    WHERE pronamespace = 'auth'::regnamespace
ORDER BY 1
"""


async def prepared(url: str) -> None:
    """Make an empty database look like one that a sign-in service has used."""
    admin = await asyncpg.connect(url)
    await admin.execute(ELSEWHERE)
    await admin.close()


async def make_template(cluster: Cluster) -> str:
    """Return a migrated database of that kind, with the test clock."""
    name = await cluster.create("template0")
    url = cluster.admin_url(name)
    await prepared(url)
    await migrate(url)
    admin = await asyncpg.connect(url)
    await admin.execute(CLOCK)
    await admin.close()
    return name


@pytest.fixture(scope="session")
def elsewhere_template(cluster: Cluster) -> str:
    """Make the template once for the run."""
    return asyncio.run(make_template(cluster))


@pytest_asyncio.fixture
async def elsewhere(cluster: Cluster, elsewhere_template: str) -> AsyncGenerator[World]:
    """A world whose people sign in elsewhere."""
    async with new_world(cluster, elsewhere_template) as fresh:
        yield fresh


async def member(world: World, id_: UUID, name: str) -> Person:
    """Sign up at the service, unless this user is there already, and visit for the first time."""
    await world.admin.execute("INSERT INTO auth.users VALUES ($1) ON CONFLICT DO NOTHING", id_)
    account = await world.call("service_role", "ensure_profile", p_profile_id=id_, p_name=name)
    return Person(id_, account["profile"]["name"])


async def users(world: World) -> int:
    """Count the accounts that the service keeps."""
    return (await world.rows("SELECT count(*) FROM auth.users"))[0][0]


@pytest.mark.spec("D1")
async def test_guests_and_passwords_are_refused_and_nothing_is_written(elsewhere: World) -> None:
    for name in (None, "vera"):
        with refused("LW017"):
            await elsewhere.call("service_role", "create_guest", p_name=name)
    with refused("LW017"):
        await elsewhere.person("vera")
    ada = await member(elsewhere, ADA, "ada")
    with refused("LW017"):
        await elsewhere.call(
            "service_role", "create_account", p_name="a.da", p_password_hash="h", p_guest_id=ada.id
        )
    assert await elsewhere.rows("SELECT name FROM profiles") == [("ada",)]
    assert await users(elsewhere) == 1


async def test_whoever_wants_staff_is_told_how_a_role_is_given(
    elsewhere: World, tmp_path: Path
) -> None:
    shell = on(elsewhere.database, tmp_path)
    said = shell.refused("user", "create", "vera", "--role", "finance", "--print-token")
    assert "Accounts are not kept here." in said
    [told] = re.findall(r"SELECT public.grant_staff_role\(PROFILE_ID, 'finance'\)", said)
    ada = await member(elsewhere, ADA, "ada")
    admin = await elsewhere.database.admin()
    await admin.execute(f"SET ROLE service_role; {told.replace('PROFILE_ID', repr(str(ada.id)))}")
    assert await elsewhere.rows("SELECT role FROM private.staff_roles") == [("finance",)]


@pytest.mark.spec("D1")
async def test_users_of_the_service_get_a_profile_at_their_first_visit(elsewhere: World) -> None:
    ada = await member(elsewhere, ADA, "ada")
    assert (await elsewhere.call(ada, "my_account"))["profile"]["name"] == "ada"
    stream = await elsewhere.live(ada)
    bob = await member(elsewhere, uuid4(), "bob")
    await elsewhere.beat(Beat(bob, stream, 1))
    assert await elsewhere.is_published(stream)
    with refused("profiles_are_users"):
        await elsewhere.call("service_role", "ensure_profile", p_profile_id=uuid4(), p_name="eve")


@pytest.mark.spec("D1")
@pytest.mark.abuse("A35")
async def test_deleting_an_account_leaves_the_services_user(elsewhere: World) -> None:
    ada = await member(elsewhere, ADA, "ada")
    await elsewhere.call(ada, "update_profile", p_bio="lives in Ghent")
    assert await elsewhere.call(ada, "delete_account") == str(ADA)
    assert await elsewhere.rows("SELECT 1 FROM profiles") == []
    assert await users(elsewhere) == 1
    await member(elsewhere, ADA, "ada")
    assert await elsewhere.rows("SELECT name, bio FROM profiles") == [("ada", "")]


@pytest.mark.spec("D1")
@pytest.mark.abuse("A35")
async def test_a_user_deleted_by_the_service_is_forgotten_here(elsewhere: World) -> None:
    ada, bob = await member(elsewhere, ADA, "ada"), await member(elsewhere, uuid4(), "bob")
    stream = await elsewhere.live(bob)
    await elsewhere.beat(Beat(ada, stream, 1))
    await elsewhere.call(ada, "send_chat_message", p_live_stream_id=stream, p_body="my address is")
    await elsewhere.admin.execute("SET ROLE sign_in_service")
    await elsewhere.admin.execute("DELETE FROM auth.users WHERE id = $1", ADA)
    await elsewhere.admin.execute("RESET ROLE")
    assert await elsewhere.rows("SELECT name FROM profiles") == [("bob",)]
    assert await elsewhere.rows("SELECT sender_id, body FROM chat_messages") == [(None, "")]
    assert await elsewhere.rows("SELECT 1 FROM active_viewers") == []
    assert (await elsewhere.stream(stream))["active_viewer_count"] == 0


async def test_the_owner_may_only_refer_to_the_services_users(elsewhere: World) -> None:
    held = await elsewhere.rows(
        "SELECT privilege_type FROM pg_class, aclexplode(relacl)"
        " WHERE pg_class.oid = 'auth.users'::regclass AND grantee = 'livewall_owner'::regrole"
    )
    assert held == [("REFERENCES",)]


async def test_the_platform_file_changes_nothing_the_second_time(elsewhere: World) -> None:
    before = await elsewhere.rows(PRIVILEGES)
    async with elsewhere.admin.transaction():
        await elsewhere.admin.execute((SQL_FOLDER / "platform.sql").read_text())
    assert await elsewhere.rows(PRIVILEGES) == before
    assert await migrate(elsewhere.database.admin_url) == Outcome()


async def test_an_administrator_who_may_not_pass_rights_on_is_told_what_is_missing(
    cluster: Cluster,
) -> None:
    name = await cluster.create("template0")
    role = f"operator_{name}"
    await cluster.execute(f"CREATE ROLE {role} LOGIN CREATEROLE PASSWORD 'p'")
    await cluster.execute(f"GRANT livewall_owner TO {role} WITH ADMIN OPTION")
    await cluster.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    url = cluster.server.url(name, role, "p")
    try:
        await prepared(cluster.admin_url(name))
        admin = await asyncpg.connect(cluster.admin_url(name))
        await _as_hosted(admin, role)
        with pytest.raises(MigrationError, match="may not pass on the rights to it") as caught:
            await migrate(url)
        missing = str(caught.value).partition("run: ")[2]
        assert missing.startswith("GRANT USAGE ON SCHEMA auth TO livewall_owner; GRANT")
        await admin.execute(f"SET ROLE sign_in_service; {missing.rstrip('.')}")
        await admin.close()
        await migrate(url)
        assert await migrate(url) == Outcome()
    finally:
        await cluster.drop(name)
        await cluster.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def _as_hosted(admin: Connection, role: str) -> None:
    """Give the administrator what a hosted Supabase project gives its own: nothing to pass on."""
    await admin.execute(
        f"SET ROLE sign_in_service; GRANT USAGE ON SCHEMA auth TO {role};"
        f"GRANT ALL ON auth.users TO {role};"
        f"GRANT SELECT ON auth.users TO {role} WITH GRANT OPTION;"
        "RESET ROLE"
    )
