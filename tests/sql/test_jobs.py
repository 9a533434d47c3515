"""What servers report about themselves."""

import pytest

from tests.sql.world import World, refused, tab


@pytest.mark.spec("S30", "S31")
async def test_each_job_shows_when_it_last_ran_and_how_it_went(world: World) -> None:
    run = {"p_job": "cleanup", "p_millis": 7}
    await world.call("service_role", "record_job_run", p_ok=True, **run)
    succeeded = await world.now()
    await world.advance(45)
    await world.call("service_role", "record_job_run", p_ok=False, **run)
    [job] = await world.call("service_role", "job_runs")
    assert (job["job"], job["runs"], job["failures"]) == ("cleanup", 2, 1)
    assert job["last_success_at"][:19] == succeeded.isoformat()[:19]
    assert job["last_run_at"] > job["last_success_at"]


@pytest.mark.spec("S18")
async def test_a_server_is_registered_once_per_start(world: World) -> None:
    server = tab()
    await world.call("service_role", "register_server_start", p_server_id=server)
    await world.advance(100)
    await world.call("service_role", "register_server_start", p_server_id=server)
    [(started,)] = await world.rows("SELECT started_at FROM private.server_starts")
    assert (await world.now() - started).total_seconds() == 100
    await world.advance(100_000)
    await world.call("service_role", "register_server_start", p_server_id=tab())
    assert await world.rows("SELECT count(*) FROM private.server_starts") == [(1,)]


@pytest.mark.spec("D7")
async def test_people_cannot_act_as_a_server(world: World) -> None:
    alice = await world.person("alice")
    for who in (alice, "anon"):
        for function in ("job_runs", "cleanup_stale_viewers", "update_publish_state_from_viewers"):
            with refused("42501"):
                await world.call(who, function)
        with refused("42501"):
            await world.call(who, "configure", p_settings={"guests_may_go_live": True})
