"""Links, follows and blocks."""

import pytest

from tests.sql.world import World, another_login, refused, waiting

LINK = "INSERT INTO user_links (position, label, url) VALUES ($1, $2, $3)"


@pytest.mark.spec("S9", "D1")
async def test_links_are_saved_whole_and_in_order(world: World) -> None:
    alice = await world.person("alice")
    links = [
        {"label": "Site", "url": "https://alice.example/a?b=c#d"},
        {"label": "Old", "url": "http://old.example:8080"},
    ]
    assert await world.call(alice, "replace_links", p_links=links) == links
    assert (await world.call("anon", "get_profile", p_name="alice"))["links"] == links
    assert await world.call(alice, "replace_links", p_links=links[1:]) == links[1:]


@pytest.mark.spec("S9", "D1")
@pytest.mark.abuse("A17")
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "java\nscript:alert(1)",
        "https://a.example/\njavascript:alert(1)",
        "https://a.example/\x00x",
        "vbscript:x",
        "file:///etc/passwd",
        "//a.example",
        "https://",
        "https://user:pass@a.example",
        "https://a.example/\u202egpj.exe",
        'https://a.example/"onmouseover="x',
        "https://a.example\\@b.example",
        "https://a b.example",
        "ftp://a.example",
        "https://a.example/" + "x" * 300,
    ],
)
async def test_links_that_could_hurt_are_refused(world: World, url: str) -> None:
    alice = await world.person("alice")
    code = "22P05" if "\x00" in url else "user_links_url_is_web"
    with refused(code):
        await world.call(alice, "replace_links", p_links=[{"label": "Me", "url": url}])
    with refused("22021" if "\x00" in url else "user_links_url_is_web"):
        await world.done(alice, LINK, 1, "Me", url)
    assert await world.rows("SELECT 1 FROM user_links") == []


@pytest.mark.spec("S9")
@pytest.mark.abuse("A17")
async def test_labels_are_clean_and_short(world: World) -> None:
    alice = await world.person("alice")
    fine = "https://a.example"
    with refused("user_links_label_clean"):
        await world.done(alice, LINK, 1, "Me\u202e", fine)
    for label in ("", "x" * 41):
        with refused("user_links_label_length"):
            await world.call(alice, "replace_links", p_links=[{"label": label, "url": fine}])


@pytest.mark.spec("S9")
async def test_ten_links_at_most_and_only_ones_own(world: World) -> None:
    alice, bob = await world.people("alice", "bob")
    eleven = [{"label": f"Link {n}", "url": f"https://a.example/{n}"} for n in range(11)]
    with refused("LW013"):
        await world.call(alice, "replace_links", p_links=eleven)
    with refused("LW013"):
        await world.call(alice, "replace_links", p_links={"label": "x", "url": "y"})
    assert len(await world.call(alice, "replace_links", p_links=eleven[:10])) == 10
    with refused("user_links_at_most_ten"):
        await world.done(alice, LINK, 11, "More", "https://a.example")
    await world.call(bob, "replace_links", p_links=eleven[:1])
    assert await world.done(alice, "DELETE FROM user_links WHERE profile_id = $1", bob.id) == 0
    assert await world.done(alice, "UPDATE user_links SET label = 'mine'") == 10
    other = "INSERT INTO user_links (profile_id, position, label, url) VALUES ($1, 9, 'x', $2)"
    with refused("42501"):
        await world.done(alice, other, bob.id, "https://a.example")


@pytest.mark.spec("S8", "D2")
async def test_following_is_public_and_only_for_oneself(world: World) -> None:
    alice, bob, carol = await world.people("alice", "bob", "carol")
    for _ in range(2):
        await world.call(alice, "follow", p_name="Bob")
    page = await world.call(alice, "get_profile", p_name="bob")
    assert (page["followers"], page["you_follow"], page["you_block"]) == (1, True, False)
    assert (await world.call("anon", "get_profile", p_name="bob"))["you_follow"] is False
    for_carol = "INSERT INTO follows (follower_id, followee_id) VALUES ($1, $2)"
    with refused("42501"):
        await world.done(alice, for_carol, carol.id, bob.id)
    assert await world.done(carol, "DELETE FROM follows") == 0
    assert len(await world.sql("anon", "SELECT * FROM follows")) == 1
    await world.call(alice, "unfollow", p_name="bob")
    assert await world.call(alice, "list_following") == []


@pytest.mark.spec("S8", "D2")
async def test_one_cannot_follow_oneself_or_nobody(world: World) -> None:
    alice = await world.person("alice")
    with refused("follows_not_oneself"):
        await world.call(alice, "follow", p_name="alice")
    with refused("LW004"):
        await world.call(alice, "follow", p_name="nobody")
    with refused("42501"):
        await world.call("anon", "follow", p_name="alice")


@pytest.mark.spec("D2")
async def test_who_is_live_comes_first_among_the_followed(world: World) -> None:
    alice, bob, carol = await world.people("alice", "bob", "carol")
    stream = await world.live(carol)
    for person in (bob, carol):
        await world.call(alice, "follow", p_name=person.name)
    listed = await world.call(alice, "list_following")
    assert [person["name"] for person in listed] == ["carol", "bob"]
    assert [person["stream"] and person["stream"]["id"] for person in listed] == [str(stream), None]


@pytest.mark.spec("D2")
@pytest.mark.abuse("A20")
async def test_a_block_ends_and_refuses_following_both_ways(world: World) -> None:
    alice, bob = await world.people("alice", "bob")
    await world.call(alice, "follow", p_name="bob")
    await world.call(bob, "follow", p_name="alice")
    assert (await world.call(alice, "block", p_name="bob"))["profile_id"] == str(bob.id)
    assert await world.rows("SELECT 1 FROM follows") == []
    insert = "INSERT INTO follows (followee_id) VALUES ($1)"
    for person, other in ((alice, bob), (bob, alice)):
        with refused("LW022"):
            await world.call(person, "follow", p_name=other.name)
        with refused("LW022"):
            await world.done(person, insert, other.id)
    assert (await world.call(alice, "get_profile", p_name="bob"))["you_block"] is True
    await world.call(alice, "unblock", p_name="bob")
    assert await world.done(bob, insert, alice.id) == 1


@pytest.mark.spec("D2")
@pytest.mark.abuse("A20")
@pytest.mark.parametrize(
    "following",
    [
        "SELECT follow('bob')",
        "INSERT INTO follows (followee_id) SELECT id FROM profiles WHERE name = 'bob'",
    ],
)
async def test_of_a_follow_and_a_block_at_once_the_block_stays(
    world: World, following: str
) -> None:
    alice, bob = await world.people("alice", "bob")
    follower, blocker = await another_login(world, alice), await another_login(world, bob)
    await follower.execute(following)
    blocking = await waiting(blocker, "SELECT block('alice')")
    await follower.execute("COMMIT")
    await blocking
    await blocker.execute("COMMIT")
    assert await world.rows("SELECT 1 FROM follows") == []
    await world.call(bob, "unblock", p_name="alice")

    follower, blocker = await another_login(world, alice), await another_login(world, bob)
    await blocker.execute("SELECT block('alice')")
    too_late = await waiting(follower, following)
    await blocker.execute("COMMIT")
    with refused("LW022"):
        await too_late
    assert await world.rows("SELECT 1 FROM follows") == []


@pytest.mark.spec("D2", "S14")
async def test_one_statement_blocks_many(world: World) -> None:
    alice, bob, carol, dora = await world.people("alice", "bob", "carol", "dora")
    stream = await world.live(alice)
    for person in (bob, carol, dora):
        await world.watch(person, stream)
        await world.call(person, "follow", p_name="alice")
    insert = "INSERT INTO blocks (blocked_id) SELECT unnest($1::uuid[])"
    assert await world.done(alice, insert, [bob.id, carol.id]) == 2
    assert (await world.stream(stream))["active_viewer_count"] == 1
    assert await world.rows("SELECT follower_id FROM follows") == [(dora.id,)]


@pytest.mark.spec("D2")
async def test_blocks_are_known_to_who_made_them_only(world: World) -> None:
    alice, bob = await world.people("alice", "bob")
    await world.done(alice, "INSERT INTO blocks (blocked_id) VALUES ($1)", bob.id)
    assert [person["name"] for person in await world.call(alice, "list_blocks")] == ["bob"]
    assert await world.call(bob, "list_blocks") == []
    assert await world.sql(bob, "SELECT 1 FROM blocks") == []
    await world.call(bob, "unblock", p_name="alice")
    assert [person["name"] for person in await world.call(alice, "list_blocks")] == ["bob"]
    assert (await world.call(bob, "get_profile", p_name="alice"))["you_block"] is False
    with refused("42501"):
        await world.sql("anon", "SELECT 1 FROM blocks")
    with refused("42501"):
        await world.done(
            bob, "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", alice.id, bob.id
        )
    with refused("blocks_not_oneself"):
        await world.call(alice, "block", p_name="alice")
    # The socket filters in both directions, so its snapshot names both.
    for person, other in ((alice, bob), (bob, alice)):
        snapshot = await world.call(
            person, "socket_snapshot", p_session_id="00000000-0000-0000-0000-000000000000"
        )
        assert snapshot["blocked"] == [str(other.id)]
