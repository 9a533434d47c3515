"""The one-round-trip call: which roles, which functions, which arguments, and nothing left over."""

import asyncpg
import pytest

from tests.sql.world import World, refused

CALL = "SELECT public.call_as($1, $2::jsonb, $3, $4::jsonb)"
LEFT_OVER = "SELECT current_user, current_setting('request.jwt.claims', true)"


@pytest.mark.spec("S29")
@pytest.mark.abuse("A14")
@pytest.mark.parametrize(
    "role", ["none", "postgres", "livewall_owner", "livewall_admin", "authenticator", "", None]
)
async def test_only_the_three_roles_of_callers_can_be_taken(world: World, role: str | None) -> None:
    with refused("LW003"):
        await world.login.fetchval(CALL, role, "{}", "list_live_streams", "{}")
    assert await world.login.fetchval("SELECT current_user") == "authenticator"


@pytest.mark.spec("S29")
async def test_role_and_claims_are_gone_after_success_and_after_an_error(world: World) -> None:
    alice = await world.person("alice")
    clean = ("authenticator", await world.login.fetchval("SELECT ''"))
    await world.call(alice, "my_account")
    assert tuple(await world.login.fetchrow(LEFT_OVER) or ()) in (clean, ("authenticator", None))
    with refused("LW004"):
        await world.call(alice, "follow", p_name="nobody")
    assert tuple(await world.login.fetchrow(LEFT_OVER) or ()) in (clean, ("authenticator", None))


@pytest.mark.spec("S29")
async def test_functions_outside_public_or_without_a_grant_are_refused(world: World) -> None:
    alice = await world.person("alice")
    for function in ("private.fail", "acting_profile", "pg_sleep", "no_such_function", 'a"b', ""):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await world.call(alice, function)
        assert caught.value.sqlstate in ("42883", "42601"), function
    for function in ("create_guest", "call_as"):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await world.call(alice, function)
        assert caught.value.sqlstate in ("42501", "42883"), function


@pytest.mark.spec("S29")
async def test_arguments_go_by_name_and_unknown_ones_are_refused(world: World) -> None:
    alice = await world.person("alice")
    assert (await world.call(alice, "get_profile", p_name="alice"))["name"] == "alice"
    for arguments in ({"p_nmae": "alice"}, {"p_name": "alice", "p_role": "admin"}, {"": 1}):
        with refused("LW006"):
            await world.call(alice, "get_profile", **arguments)
    with refused("LW006"):
        await world.call(alice, "no_such_function", p_name="alice")
    injected = "alice'); DROP TABLE profiles; --"
    with refused("LW004"):
        await world.call(alice, "get_profile", p_name=injected)


@pytest.mark.spec("S29")
async def test_the_login_itself_can_do_nothing_else(world: World) -> None:
    alice = await world.person("alice")
    for statement in (
        "SELECT * FROM public.profiles",
        "SELECT * FROM public.active_viewers",
        "SELECT * FROM private.credentials",
        "SELECT public.create_guest()",
        "SELECT public.my_account()",
        "CREATE TABLE public.mine (x int)",
        "SET ROLE livewall_owner",
    ):
        with refused("42501"):
            await world.login.execute(statement)
    for who in (alice, "anon", "service_role"):
        with refused("42501"):
            await world.one(who, CALL, "service_role", "{}", "create_guest", "{}")


@pytest.mark.spec("S29")
async def test_errors_carry_code_sentence_hint_and_fields(world: World) -> None:
    alice = await world.person("alice")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await world.call(alice, "follow", p_name="nobody")
    error = caught.value
    assert error.sqlstate == "LW004"
    assert (getattr(error, "message", ""), getattr(error, "hint", "")) == (
        "Nobody has this name.",
        "Check the spelling.",
    )
    assert getattr(error, "detail", "") == '{"name": "nobody"}'
