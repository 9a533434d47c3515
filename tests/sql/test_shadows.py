"""Whoever may make temporary objects shadows nothing that runs as somebody else."""

import asyncpg
import pytest

from livewall.administrator import set_authenticator_password
from livewall.migrate import migrate
from tests.databases import Cluster, Database
from tests.sql.world import World, watched

# A domain that is named like a type of ours, and whose check runs wherever that name is believed.
SHADOW = """
CREATE FUNCTION pg_temp.spy(v pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'livewall_owner' THEN
        RAISE EXCEPTION 'ran as the owner' USING ERRCODE = 'LW999';
    END IF;
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION pg_temp.spy(pg_catalog.text) TO PUBLIC;
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.spy(VALUE));
GRANT USAGE ON TYPE pg_temp.text TO PUBLIC;
"""


@pytest.mark.spec("S29")
async def test_callers_have_no_temporary_objects(
    cluster: Cluster, empty_database: Database
) -> None:
    await migrate(empty_database.admin_url)
    url = cluster.authenticator_url(empty_database.name)
    await set_authenticator_password(empty_database.admin_url, url)
    connection = await empty_database.as_role("authenticated")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TEMPORARY TABLE t (id integer)")


@pytest.mark.spec("S29")
async def test_a_shadowed_type_does_not_run_as_the_owner(world: World) -> None:
    _, viewer, stream = await watched(world)
    await world.admin.execute(f"GRANT TEMPORARY ON DATABASE {world.database.name} TO authenticated")
    connection = await world.database.as_person(viewer)
    await connection.execute(SHADOW)
    assert await connection.fetchval("SELECT public.explain_publish_state($1)", stream)
    assert await connection.fetchval("SELECT public.my_wallet()")
