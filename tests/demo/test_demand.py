"""Who gets video, from commands that arrive late, twice, or in the wrong order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livewall.client import Demand, backoff
from livewall.client.messages import SeatedViewer, Watchers

STREAM = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"


def watchers(revision: int, *names: str, stream_id: str = STREAM) -> Watchers:
    """A list of seats in which everybody's media id is `m-NAME`."""
    seated = [SeatedViewer(f"c-{name}", f"m-{name}", name) for name in names]
    return Watchers(stream_id, revision, seated)


def watched(*names: str) -> Demand:
    """A published stream with seats."""
    demand = Demand(STREAM)
    demand.see_epoch(STREAM, 5, is_published=True)
    demand.see_watchers(watchers(3, *names))
    return demand


@pytest.mark.spec("S14")
def test_nobody_gets_video_until_the_stream_is_published() -> None:
    demand = Demand(STREAM)
    demand.see_watchers(watchers(1, "lia"))
    assert demand.wanted() == {}
    demand.see_epoch(STREAM, 1, is_published=True)
    assert set(demand.wanted()) == {"m-lia"}
    demand.see_epoch(STREAM, 2, is_published=False)
    assert demand.wanted() == {}


def test_an_older_or_repeated_epoch_changes_nothing() -> None:
    demand = watched("lia")
    assert not demand.see_epoch(STREAM, 4, is_published=False)
    assert not demand.see_epoch(STREAM, 5, is_published=False)
    assert set(demand.wanted()) == {"m-lia"}


def test_an_older_list_of_seats_changes_nothing() -> None:
    demand = watched("lia")
    assert not demand.see_watchers(watchers(2, "rue", "otto"))
    assert set(demand.wanted()) == {"m-lia"}


def test_a_newer_list_replaces_the_one_before() -> None:
    demand = watched("lia", "otto")
    assert demand.see_watchers(watchers(4, "rue"))
    assert set(demand.wanted()) == {"m-rue"}


def test_another_stream_has_its_own_epochs_and_no_seats_yet() -> None:
    demand = watched("lia")
    assert not demand.see_epoch(OTHER, 99, is_published=False)
    assert demand.see_stream(OTHER)
    assert demand.wanted() == {}
    assert demand.see_epoch(OTHER, 1, is_published=True)
    assert demand.wanted() == {}
    assert not demand.see_watchers(watchers(9, "rue"))


def test_a_new_socket_may_count_revisions_from_the_start_and_keeps_the_seats() -> None:
    demand = watched("lia")
    demand.expect_new_revisions()
    assert set(demand.wanted()) == {"m-lia"}
    assert demand.see_watchers(watchers(1, "lia", "rue"))
    assert set(demand.wanted()) == {"m-lia", "m-rue"}


@given(
    st.lists(st.integers(0, 6), min_size=1).flatmap(
        lambda epochs: st.tuples(st.just(epochs), st.permutations(range(7)))
    )
)
def test_any_order_of_commands_ends_where_the_highest_epoch_says(
    sent: tuple[list[int], list[int]],
) -> None:
    """Each epoch has one truth, whatever the order and however often it is said."""
    epochs, truth = sent
    demand = Demand(STREAM)
    for epoch in epochs:
        demand.see_epoch(STREAM, epoch, is_published=truth[epoch] % 2 == 0)
    assert demand.epoch == max(epochs)
    assert demand.is_published == (truth[max(epochs)] % 2 == 0)


def test_waiting_grows_to_fifteen_seconds_and_never_in_step() -> None:
    first = [backoff(0) for _ in range(200)]
    late = [backoff(50) for _ in range(200)]
    assert 0 <= min(first) <= max(first) <= 0.5
    assert 12 < max(late) <= 15
    assert min(late) < 3
    assert len(set(late)) > 150
