"""What waits while the database is away: one intent for each tile, bounded in every direction."""

from uuid import UUID, uuid4

import pytest

from livewall import pending
from livewall.pending import Beat, Lease, Leave, Pending, Tile, now

VIEWER, TAB, STREAM, OTHER = (UUID(int=n) for n in range(1, 5))


def beat(sequence: int, stream: UUID = STREAM, session: UUID = TAB, age: float = 0) -> Beat:
    """A heartbeat of the viewer, heard so many seconds ago."""
    return Beat(Tile(VIEWER, session, stream), sequence, 15, now() - age)


def leave(sequence: int, stream: UUID | None = STREAM) -> Leave:
    """A leave of the viewer's tab."""
    return Leave(VIEWER, TAB, sequence, stream, now())


def waiting(*intents: Beat | Leave) -> tuple[list[int], list[int]]:
    """Add intents; return the sequences of the heartbeats and of the leaves that wait then."""
    queue = Pending()
    for intent in intents:
        queue.add(intent)
    beats, leaves = queue.beats(), queue.leaves()
    assert len(queue) == len(beats) + len(leaves)
    return [b.sequence for b in beats], [i.sequence for i in leaves]


@pytest.mark.abuse("A7")
def test_the_newest_intent_of_a_tile_replaces_the_one_before() -> None:
    assert waiting(beat(1), beat(2)) == ([2], [])
    assert waiting(beat(2), beat(1)) == ([2], [])
    assert waiting(beat(1), leave(2)) == ([], [2])
    assert waiting(leave(1), beat(2)) == ([2], [])
    assert waiting(leave(2), beat(1)) == ([], [2])
    assert waiting(*(leave(n) for n in range(100))) == ([], [99])


def test_leaving_the_wall_replaces_what_its_tiles_said_before() -> None:
    assert waiting(beat(1), beat(1, OTHER), leave(2, OTHER), leave(3, None)) == ([], [3])
    assert waiting(leave(3, None), beat(2)) == ([], [3])
    assert waiting(leave(1, None), beat(2)) == ([2], [1])
    assert waiting(beat(1, session=uuid4()), leave(2, None)) == ([1], [2])


@pytest.mark.abuse("A12")
def test_one_session_keeps_only_its_newest_tiles() -> None:
    streams = [uuid4() for _ in range(500)]
    beats, _ = waiting(*(beat(n, stream) for n, stream in enumerate(streams)))
    assert sorted(beats) == list(range(500 - pending.MOST_PER_SESSION, 500))


def test_all_sessions_together_are_bounded_and_the_longest_silent_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "MOST_INTENTS", 100)
    queue = Pending()
    tabs = [uuid4() for _ in range(300)]
    for number, session in enumerate(tabs):
        queue.add(beat(number, session=session))
        queue.add(beat(number, session=tabs[0]))  # the first one never falls silent
    assert len(queue) == 100
    kept = {b.tile.session_id for b in queue.beats()}
    assert kept == {tabs[0], *tabs[-99:]}


def test_what_comes_back_after_a_failure_stays_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_INTENTS", 100)
    older, newer = Pending(), Pending()
    for number in range(80):
        older.add(beat(number, session=uuid4()))
        newer.add(beat(number, session=uuid4()))
    older.add(beat(1))
    newer.add(leave(2))
    older.add_all(newer)
    assert len(older) == 100
    assert [i.sequence for i in older.leaves()] == [2]


@pytest.mark.spec("S18")
def test_who_fell_silent_meanwhile_is_not_brought_back() -> None:
    queue = Pending()
    queue.add(beat(1, age=61))
    queue.add(beat(1, OTHER, age=59))
    assert [b.tile.stream_id for b in queue.beats()] == [OTHER]
    queue.add(beat(1, session=uuid4(), age=59))
    assert queue.drop_old() == 0, "a session is as old as its last word"
    gone = Pending()
    gone.add(beat(1, age=61))
    gone.add(beat(1, session=uuid4()))
    gone.renew(Lease(STREAM, TAB, now() - 61))
    assert gone.drop_old() == 2
    assert len(gone) == 1


def test_a_stream_has_one_lease_to_renew() -> None:
    queue = Pending()
    for _ in range(50):
        queue.renew(Lease(STREAM, uuid4(), now()))
    queue.renew(Lease(STREAM, TAB, now()))
    assert [lease.session_id for lease in queue.leases()] == [TAB]
