"""S34, S35, S38 and S39: heartbeats, cleanup, walls and the publish state, tried out."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg

from livewall.preflight.checks import NotProven, Result, Site, WrongError, check, failed, passed
from livewall.preflight.rehearsal import Rehearsal, rehearsal, rehearsal_as_server

BEAT = "SELECT public.update_viewer_heartbeat($1, p_session_id => $2)"
BATCH = "SELECT public.record_heartbeats($1, $2, $3, $4, $5)"
SAVE = (
    "SELECT public.save_grid(jsonb_build_array(jsonb_build_object("
    "'slot_index', $1::integer, 'streamer_id', $2::uuid)))"
)
PERIODS = (10, 15)
FLAGS = ("active", "unmuted", "visible", "subscribed")
ALL_FLAGS = 15
# A clean leave ends within max(linger 5 s, rest of a minimum on-time of 10 s), and a little.
LATEST_OFF = 10.5
SILENT_SECONDS = 60
SILENCE = "SELECT extract(epoch FROM viewer_silence)::float8 FROM private.settings"
# Time goes on between the steps, by a second or more where it is slow, and must not matter.
AGES = (50, 61)
STREAM = "SELECT * FROM public.live_streams WHERE id = $1"
GRACE = "SELECT extract(epoch FROM private.grace_until() - private.clock())::float8"


def _insist(is_so: bool, otherwise: str) -> None:
    """Raises WrongError with what was seen instead."""
    if not is_so:
        raise WrongError(otherwise)


async def _live(rehearsed: Rehearsal) -> UUID:
    """Have somebody go live; return the stream."""
    await rehearsed.become(await rehearsed.person())
    answer = await rehearsed.value("SELECT public.start_stream('Preflight', $1)", uuid4())
    return UUID(answer["stream"]["id"])


async def _stream(rehearsed: Rehearsal, stream: UUID) -> Any:
    row = await rehearsed.connection.fetchrow(STREAM, stream)
    _insist(row is not None, "a stream that just went live is not there")
    return row


@check(
    "S34",
    title="Heartbeats every 10 to 15 seconds keep somebody watching",
    why="They are all that says a camera is wanted: lost, nobody sees video; believed too long, a "
    "camera is on for nobody.",
    fix="See S29: update_viewer_heartbeat or its settings differ from what they should be.",
)
async def heartbeats(at: Site) -> Result:
    """Somebody made up goes live and another one watches: the first heartbeat turns the camera on,
    and one 10, then one 15 seconds later renew the same record. Rolled back.
    """
    async with rehearsal(at) as rehearsed:
        stream, viewer, tab = await _live(rehearsed), await rehearsed.person(), uuid4()
        await rehearsed.become(viewer)
        for period in (0, *PERIODS):
            await rehearsed.connection.execute(
                "UPDATE public.active_viewers SET last_active_at = last_active_at"
                " - make_interval(secs => $2) WHERE viewer_id = $1",
                viewer,
                float(period),
            )
            await rehearsed.value(BEAT, stream, tab)
            count = await rehearsed.value(
                "SELECT count(*) FROM public.active_viewers WHERE viewer_id = $1 AND is_watching"
                " AND last_active_at > private.clock() - interval '5 seconds'",
                viewer,
            )
            _insist(count == 1, f"{count} records are fresh after a heartbeat {period} s later")
            row = await _stream(rehearsed, stream)
            _insist(row["is_published"], f"the camera is off after a heartbeat {period} s later")
    return passed("the first turned the camera on, those 10 and 15 s later renewed it")


@check(
    "S35",
    title="Viewers silent for 60 seconds are cleaned up",
    why="A browser that crashed says nothing. Its record must go, and one that is only slow stay.",
    fix="UPDATE private.settings SET viewer_silence = '60 seconds'; if it is that, see S29.",
)
async def stale_cleanup(at: Site) -> Result:
    """Reads the setting. Then two made-up viewers of a made-up stream were last heard 50 and 61
    seconds ago: the cleanup, told to look at that stream only, removes the second. Rolled back.
    """
    async with rehearsal(at) as rehearsed:
        silence: float = await rehearsed.value(SILENCE)
        _insist(silence == SILENT_SECONDS, f"they are cleaned up after {silence:g} s")
        stream = await _live(rehearsed)
        viewers = {await rehearsed.person(): age for age in AGES}
        for viewer, age in viewers.items():
            await rehearsed.connection.execute(
                "INSERT INTO public.active_viewers (live_stream_id, viewer_id, session_id,"
                " last_active_at) VALUES ($1, $2, $3,"
                " private.clock() - make_interval(secs => $4))",
                stream,
                viewer,
                uuid4(),
                float(age),
            )
        await rehearsed.value("SELECT private.remove_stale_viewers($1)", [stream])
        rows = await rehearsed.connection.fetch(
            "SELECT viewer_id FROM public.active_viewers WHERE live_stream_id = $1", stream
        )
    left = sorted(viewers[row["viewer_id"]] for row in rows)
    if left != [AGES[0]]:
        ages = ", ".join(f"{age} s" for age in left) or "nobody"
        return failed(f"left after silence of: {ages}", left=left)
    return passed("silent for {} s stayed, for {} s went".format(*AGES), left=left)


@check(
    "S38",
    title="Everybody has a wall of their own",
    why="A wall says whom somebody watches. Nobody else may read it, much less rearrange it.",
    fix="See S29: a policy or a grant of user_grid_slots differs from what it should be.",
)
async def layouts(at: Site) -> Result:
    """Two people made up save walls, as the role and under the policies that their requests have:
    each reads the own one, by get_grid and row by row, and may add, change and remove rows of it;
    nobody else's row is in sight, and changing one's changes nothing. Rolled back.
    """
    async with rehearsal_as_server(at) as rehearsed:
        one, two, shown = [await rehearsed.person() for _ in range(3)]
        for who, slot in ((one, 3), (two, 7)):
            await rehearsed.become(who)
            await rehearsed.value(SAVE, slot, shown)
        for who, slot in ((one, 3), (two, 7)):
            await rehearsed.become(who)
            wall = await rehearsed.value("SELECT public.get_grid()")
            slots = [row["slot_index"] for row in wall]
            _insist(slots == [slot], f"saved slot {slot}, read slots {slots}")
            await _rearrange(rehearsed, who, slot, shown)
        others = "SELECT EXISTS (SELECT FROM public.user_grid_slots WHERE viewer_id <> $1)"
        _insist(not await rehearsed.value(others, two), "somebody reads walls of others")
        changed = await rehearsed.connection.execute(
            "UPDATE public.user_grid_slots SET volume = 0 WHERE viewer_id = $1", one
        )
        _insist(changed == "UPDATE 0", "somebody changed the wall of another person")
    return passed("two people each read and change their own wall, and no other")


# What somebody does to a row of their own wall, past the functions; the number is that of a slot.
REARRANGING = (
    "SELECT FROM public.user_grid_slots WHERE viewer_id = $1 AND slot_index = $2",
    "UPDATE public.user_grid_slots SET volume = 1 WHERE viewer_id = $1 AND slot_index = $2",
    "DELETE FROM public.user_grid_slots WHERE viewer_id = $1 AND slot_index = $2",
    "INSERT INTO public.user_grid_slots (viewer_id, slot_index, streamer_id) VALUES ($1, $2, $3)",
)


async def _rearrange(rehearsed: Rehearsal, who: UUID, slot: int, shown: UUID) -> None:
    """See that each of these reaches the one row, which is there again in the end."""
    for statement in REARRANGING:
        verb = statement.partition(" ")[0]
        more = (shown,) if verb == "INSERT" else ()
        try:
            done = await rehearsed.connection.execute(statement, who, slot, *more)
        except asyncpg.InsufficientPrivilegeError as error:
            raise WrongError(f"{verb} on one's own wall is refused: {error}") from error
        _insist(done.endswith(" 1"), f"{verb} on one's own wall reaches nothing")


@check(
    "S39",
    title="The publish state follows active viewers and nothing else",
    why="It is the promise to every streamer: the camera is on while somebody really watches.",
    fix="See S29: a function, a grant or a setting of publishing differs from what it should be.",
)
async def publish_state(at: Site) -> Result:
    """Somebody made up is live: off without viewers; off while any of a viewer's four flags is
    missing; on with all four; to be off within 10 seconds of the last leave, and off then. And no
    role of the API may write the state itself. Rolled back.
    """
    async with rehearsal(at) as rehearsed:
        for role in ("anon", "authenticated", "service_role"):
            may = await rehearsed.value(
                "SELECT has_column_privilege($1, 'public.live_streams', 'is_published', 'UPDATE')",
                role,
            )
            _insist(not may, f"role {role} may write is_published")
        stream, viewer, tab = await _live(rehearsed), await rehearsed.person(), uuid4()
        _insist(not (await _stream(rehearsed, stream))["is_published"], "on without viewers")
        for bit, flag in enumerate(FLAGS):
            await rehearsed.value(BATCH, [stream], [viewer], [tab], [bit + 1], [ALL_FLAGS - 2**bit])
            is_on = (await _stream(rehearsed, stream))["is_published"]
            _insist(not is_on, f"on for a viewer who is not {flag}")
        await rehearsed.value(BATCH, [stream], [viewer], [tab], [10], [ALL_FLAGS])
        _insist((await _stream(rehearsed, stream))["is_published"], "off for somebody who watches")
        grace: float = await rehearsed.value(GRACE)
        if grace > 0:
            raise NotProven(
                "The camera goes on for viewers only; it goes off for nobody while clients may "
                "come back after a restart.",
                f"Run it again in {grace:.0f} seconds.",
            )
        await rehearsed.value(
            "SELECT public.record_leaves($1, $2, $3, $4)", [viewer], [tab], [11], [None]
        )
        await _is_off_in_time(rehearsed, stream)
    return passed("off, off for each flag that is missing, on for all four, off after the leave")


async def _is_off_in_time(rehearsed: Rehearsal, stream: UUID) -> None:
    """See when it is to be off, then let that moment come."""
    seconds = await rehearsed.value(
        "SELECT extract(epoch FROM unpublish_due_at - private.clock())::float8"
        " FROM public.live_streams WHERE id = $1",
        stream,
    )
    _insist(
        seconds is not None and seconds <= LATEST_OFF,
        "not to be off after the leave" if seconds is None else f"off {seconds:.0f} s after it",
    )
    await rehearsed.connection.execute(
        "UPDATE public.live_streams SET unpublish_due_at = private.clock(),"
        " published_since = private.clock() - interval '1 minute' WHERE id = $1",
        stream,
    )
    await rehearsed.value("SELECT private.derive_publish_state($1)", [stream])
    _insist(not (await _stream(rehearsed, stream))["is_published"], "still on after the leave")
