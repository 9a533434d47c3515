"""Names, accounts, guests, sessions, profiles and what remains of a person who leaves."""

import unicodedata

import pytest

from tests.sql.world import Beat, Person, World, refused, tab

HOUR = "1 hour"


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
@pytest.mark.parametrize(
    "taken",
    [
        "mallory",
        "Mallory",
        "MALL0RY",
        "ma1lory",
        "mal.lory",
        "mallo_ry",
        "\uff4dallory",
        " mallory ",
    ],
)
async def test_a_name_that_looks_like_another_is_taken(world: World, taken: str) -> None:
    await world.person("mallory")
    with refused("profiles_name_unlike_others"):
        await world.person(taken)


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
@pytest.mark.parametrize(
    ("name", "twin"),
    [("marn", "mam"), ("wow", "vvovv"), ("l0l", "101"), ("vwfan", "vvvfan"), ("wvfan", "vwfan")],
)
async def test_letters_that_read_alike_are_one_name(world: World, name: str, twin: str) -> None:
    await world.person(name)
    with refused("profiles_name_unlike_others"):
        await world.person(twin)


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 25,
        ".abc",
        "abc_",
        "a b c",
        "al\u0456ce",
        "zoë",
        "a\u200bbc",
        "",
        "x-y",
        "adm.in",
        "Support",
        "m0derator",
        "live.wall",
        "admins",
        "admin.ada",
        "aclmin",
        "4dm1n",
        "livewall.support",
        "l1vewall_news",
        "moderator1",
        "staff",
        "staff.ada",
        "ada_support",
        "support7",
        "root",
        "oper4tor",
    ],
)
async def test_names_that_cannot_be_used(world: World, name: str) -> None:
    with refused("LW010"):
        await world.person(name)


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
async def test_names_that_only_begin_like_such_a_word_stay_free(world: World) -> None:
    for name in ("stafford", "supporter", "operator.jo", "modern", "adrian", "rooted", "lively"):
        assert (await world.person(name)).name == name


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
async def test_shown_names_do_not_speak_for_the_platform(world: World) -> None:
    alice, warden = await world.person("alice"), await world.moderator()
    for shown in (
        "Admin",
        "LIVEWALL Support",
        "Moderator 1",
        "S u p p o r t",
        "The Staff",
        "Adm1n",
    ):
        with refused("LW010"):
            await world.call(alice, "update_profile", p_display_name=shown)
        with refused("LW010"):
            await world.sql(alice, "UPDATE profiles SET display_name = $1", shown)
    for shown in ("I support you", "Alice", "Admiral", "\u0410\u043b\u0438\u0441\u0430"):
        edited = await world.call(alice, "update_profile", p_display_name=shown)
        assert edited["display_name"] == shown
    assert (await world.call(warden, "update_profile", p_display_name="Moderator"))["display_name"]


@pytest.mark.abuse("A16")
async def test_whoever_has_such_a_name_already_keeps_it(world: World) -> None:
    alice = await world.person("alice")
    admin = await world.database.admin()
    await admin.execute("ALTER TABLE profiles DISABLE TRIGGER USER")
    await admin.execute("UPDATE profiles SET name = 'admin.alice', display_name = 'Admin'")
    await admin.execute("ALTER TABLE profiles ENABLE TRIGGER USER")
    assert (await world.call(alice, "update_profile", p_bio="hi"))["name"] == "admin.alice"


@pytest.mark.spec("D1")
@pytest.mark.abuse("A16")
async def test_names_are_stored_in_one_spelling_whoever_writes_them(world: World) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "Carol")
    assert unicodedata.normalize("NFKC", wide) == "Carol"
    person = await world.person(wide)
    assert person.name == "carol"
    rename = "UPDATE profiles SET name = $1 RETURNING name"
    assert await world.one(person, rename, "  CARO.LINE ") == "caro.line"
    assert (await world.call("anon", "get_profile", p_name="Caro.Line"))["name"] == "caro.line"


@pytest.mark.spec("S1", "D1")
async def test_people_edit_their_own_profile_and_nobody_elses(world: World) -> None:
    alice, bob = await world.people("alice", "bob")
    edited = await world.call(
        alice, "update_profile", p_display_name="Alice \u202e", p_bio="Hi\x07"
    )
    assert (edited["display_name"], edited["bio"], edited["name"]) == ("Alice", "Hi", "alice")
    edit = "UPDATE profiles SET bio = 'mine' WHERE id = $1"
    assert await world.done(alice, edit, alice.id) == 1
    assert await world.done(alice, edit, bob.id) == 0
    for column in ("id", "is_guest", "is_demo", "created_at", "name_skeleton"):
        with refused("42501"):
            await world.sql(alice, f"UPDATE profiles SET {column} = DEFAULT")
    with refused("42501"):
        await world.sql("anon", edit, alice.id)
    assert await world.rows("SELECT bio FROM profiles ORDER BY name") == [("mine",), ("",)]


@pytest.mark.spec("D1")
@pytest.mark.parametrize(("display_name", "bio"), [("", ""), ("x" * 41, ""), ("Al", "y" * 301)])
async def test_texts_that_are_too_long_or_empty(world: World, display_name: str, bio: str) -> None:
    alice = await world.person("alice")
    with refused("LW016"):
        await world.call(alice, "update_profile", p_display_name=display_name, p_bio=bio)


@pytest.mark.spec("D1")
async def test_a_guest_becomes_an_account_and_keeps_everything(world: World) -> None:
    guest = await world.person("visitor", guest=True)
    alice = await world.person("alice")
    await world.call(guest, "follow", p_name="alice")
    profile = await world.call(
        "service_role", "create_account", p_name="carol", p_password_hash="h", p_guest_id=guest.id
    )
    assert (profile["id"], profile["is_guest"], profile["name"]) == (str(guest.id), False, "carol")
    assert [p["name"] for p in await world.call(guest, "list_following")] == [alice.name]
    with refused("LW014"):
        await world.call(
            "service_role", "create_account", p_name="cat", p_password_hash="h", p_guest_id=guest.id
        )


@pytest.mark.spec("D1")
async def test_guests_get_a_free_name_when_they_bring_none(world: World) -> None:
    names = {(await world.call("service_role", "create_guest"))["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("guest.") for name in names)


@pytest.mark.spec("D1")
async def test_a_password_hash_is_for_the_server_alone(world: World) -> None:
    alice = await world.person("alice")
    found = await world.call("service_role", "find_credentials", p_name="ALICE")
    assert found == {"profile_id": str(alice.id), "password_hash": "not a hash"}
    assert await world.call("service_role", "find_credentials", p_name="nobody") is None
    await world.call(
        "service_role", "set_password_hash", p_profile_id=alice.id, p_password_hash="stronger"
    )
    found = await world.call("service_role", "find_credentials", p_name="alice")
    assert found["password_hash"] == "stronger"
    for who in (alice, "anon"):
        with refused("42501"):
            await world.call(who, "find_credentials", p_name="alice")


@pytest.mark.spec("D1")
async def test_sessions_open_renew_and_end(world: World) -> None:
    alice = await world.person("alice")
    opened = await world.call(
        "service_role", "open_session", p_profile_id=alice.id, p_lifetime=HOUR
    )
    assert opened["account"]["profile"]["name"] == "alice"
    session = opened["session_id"]
    await world.advance(1800)
    renewed = await world.call(
        "service_role", "renew_session", p_session_id=session, p_lifetime=HOUR
    )
    assert renewed["expires_at"] > opened["expires_at"]
    await world.advance(3601)
    with refused("LW015"):
        await world.call("service_role", "renew_session", p_session_id=session, p_lifetime=HOUR)


@pytest.mark.spec("D1")
async def test_a_closed_session_is_not_renewed(world: World) -> None:
    alice = await world.person("alice")
    opened = await world.call(
        "service_role", "open_session", p_profile_id=alice.id, p_lifetime=HOUR
    )
    session = opened["session_id"]
    await world.call("service_role", "close_session", p_session_id=session)
    for gone in (session, tab()):
        with refused("LW015"):
            await world.call("service_role", "renew_session", p_session_id=gone, p_lifetime=HOUR)


@pytest.mark.spec("D1")
async def test_people_of_an_outside_issuer_get_a_profile_once(world: World) -> None:
    await world.person("alice")
    known = tab()
    first = await world.call("service_role", "ensure_profile", p_profile_id=known, p_name="Alice")
    name = first["profile"]["name"]
    assert name.startswith("member.")
    again = await world.call("service_role", "ensure_profile", p_profile_id=known, p_name="zed")
    assert again["profile"]["name"] == name
    fresh = await world.call("service_role", "ensure_profile", p_profile_id=tab(), p_name="Zed")
    assert fresh["profile"]["name"] == "zed"


@pytest.mark.spec("D1")
async def test_an_account_shows_its_roles_to_its_owner(world: World) -> None:
    warden = await world.moderator()
    assert (await world.call(warden, "my_account"))["roles"] == ["moderator"]
    with refused("42501"):
        await world.call(warden, "grant_staff_role", p_profile_id=warden.id, p_role="admin")
    with refused("staff_roles_known"):
        await world.call("service_role", "grant_staff_role", p_profile_id=warden.id, p_role="king")
    with refused("LW001"):
        await world.call(Person(tab(), "nobody"), "my_account")


@pytest.mark.spec("D1")
async def test_deleting_an_account_takes_personal_data_along(world: World) -> None:
    alice, bob = await world.people("alice", "bob")
    stream, own = await world.live(bob), await world.live(alice)
    await world.call(alice, "send_chat_message", p_live_stream_id=stream, p_body="my address is")
    await world.call(bob, "send_chat_message", p_live_stream_id=own, p_body="hello")
    await world.call(alice, "follow", p_name="bob")
    await world.call(alice, "replace_links", p_links=[{"label": "Me", "url": "https://a.example"}])
    await world.call(bob, "save_grid", p_slots=[{"slot_index": 1, "streamer_id": alice.id}])
    await world.beat(Beat(bob, own, 1))
    assert await world.call(alice, "delete_account") == str(alice.id)
    for table in ("follows", "user_links", "user_grid_slots", "active_viewers"):
        assert await world.rows(f"SELECT 1 FROM public.{table}") == [], table
    assert await world.rows("SELECT name FROM profiles") == [("bob",)]
    assert await world.rows("SELECT 1 FROM auth.users WHERE id = $1", alice.id) == []
    assert await world.rows("SELECT sender_id, body FROM chat_messages") == [(None, "")]
    with refused("LW001"):
        await world.call(alice, "my_account")
    assert (await world.person("alice")).id != alice.id
