"""Damage to when a camera is on, and who may send."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_flapping, test_presence, test_publishing, test_streams
from tests.sql.mutations.damage import Mutation, edit

PUBLISHING = "code/publishing"
STREAMS = "code/streams"

MUTATIONS = [
    Mutation(
        "publishing: the first viewer waits",
        edit(
            PUBLISHING,
            (
                "CASE WHEN b.viewers > 0 THEN b.was_published OR b.may_publish",
                "CASE WHEN b.viewers > 0 THEN b.was_published",
            ),
        ),
        test_publishing.test_first_viewer_publishes_in_the_same_statement,
    ),
    Mutation(
        "publishing: sessions are counted, not people",
        edit(PUBLISHING, ("count(DISTINCT a.viewer_id)::integer", "count(a.viewer_id)::integer")),
        test_publishing.test_viewers_are_counted_once_whatever_their_sessions,
    ),
    Mutation(
        "publishing: the silent count for ever",
        edit(
            PUBLISHING,
            (
                "AND a.is_watching AND a.last_active_at > p_now - rule.viewer_silence",
                "AND a.is_watching",
            ),
        ),
        test_publishing.test_silence_of_sixty_seconds_ends_publishing,
    ),
    Mutation(
        "publishing: a zombie tab holds the camera",
        edit(
            PUBLISHING,
            (
                "AND a.is_watching AND a.last_active_at > p_now - rule.viewer_silence",
                "AND a.is_watching",
            ),
        ),
        test_presence.test_a_zombie_tab_does_not_hold_the_camera_once_silent,
    ),
    Mutation(
        "publishing: silence of thirty seconds is enough",
        "UPDATE private.settings SET viewer_silence = '30 seconds'",
        test_publishing.test_silence_shorter_than_sixty_seconds_costs_nothing,
    ),
    Mutation(
        "publishing: no linger",
        "UPDATE private.settings SET linger = '0'",
        test_publishing.test_a_leave_lingers_for_five_seconds,
    ),
    Mutation(
        "publishing: no minimum on-time",
        "UPDATE private.settings SET minimum_on_time = '0'",
        test_publishing.test_video_stays_on_for_ten_seconds_at_least,
    ),
    Mutation(
        "publishing: off as often as one likes",
        edit(PUBLISHING, ("private.off_transition_allowed_at(w.id, v_now),", "NULL,")),
        test_flapping.test_visibility_toggled_without_end_stays_within_the_bound,
    ),
    Mutation(
        "publishing: live as often as one likes",
        edit(PUBLISHING, ("IF v_room_at > p_now THEN", "IF false THEN")),
        test_flapping.test_going_live_and_stopping_without_end_is_bounded,
    ),
    Mutation(
        "publishing: a stopped stream stays published",
        "DROP TRIGGER live_streams_follow_live_available ON public.live_streams",
        test_publishing.test_stopping_is_immediate_even_within_the_minimum_on_time,
    ),
    Mutation(
        "publishing: leases last for ever",
        edit(
            PUBLISHING,
            (
                "ARRAY(SELECT live_stream_id FROM private.publisher_leases WHERE expires_at <= v_now",
                "ARRAY(SELECT live_stream_id FROM private.publisher_leases WHERE false",
            ),
        ),
        test_publishing.test_a_publisher_who_falls_silent_is_no_longer_live,
    ),
    Mutation(
        "publishing: any session keeps the lease",
        edit(
            PUBLISHING,
            (
                "WHERE l.live_stream_id = b.stream_id AND l.session_id = b.session_id\n        RETURNING",
                "WHERE l.live_stream_id = b.stream_id\n        RETURNING",
            ),
        ),
        test_publishing.test_a_kept_lease_stays_and_a_strange_session_cannot_keep_it,
    ),
    Mutation(
        "publishing: no grace after a restart",
        "UPDATE private.settings SET restart_grace = '0'",
        test_flapping.test_a_restarted_server_gives_viewers_a_heartbeat_period,
    ),
    Mutation(
        "publishing: no grace after a restart of the database",
        edit(
            PUBLISHING,
            (
                "        pg_postmaster_start_time(),\n        (SELECT max",
                "        (SELECT max",
            ),
        ),
        test_flapping.test_a_restarted_database_gives_the_same_grace,
    ),
    Mutation(
        "publishing: no grace after a crash that keeps the start time",
        edit(
            PUBLISHING,
            ("coalesce((SELECT since FROM private.records_since), private.clock())", "NULL"),
        ),
        test_flapping.test_records_lost_without_a_restart_give_the_same_grace,
    ),
    Mutation(
        "publishing: intervals without a reason of their own",
        edit(
            PUBLISHING,
            (
                "THEN 'viewers_silent' ELSE 'viewers_left' END)\n                   AS off_reason",
                "THEN 'viewers_left' ELSE 'viewers_left' END)\n                   AS off_reason",
            ),
        ),
        test_publishing.test_silence_of_sixty_seconds_ends_publishing,
    ),
    Mutation(
        "publishing: everybody learns who watches",
        edit(STREAMS, ("v_stream.streamer_id IS NOT DISTINCT FROM auth.uid()", "true")),
        test_publishing.test_the_streamer_alone_is_told_who_watches,
    ),
    Mutation(
        "streams: guests go live",
        edit(PUBLISHING, ("IF NOT v_rule.guests_may_go_live AND", "IF false AND")),
        test_streams.test_guests_go_live_only_where_the_operator_allows_it,
    ),
    Mutation(
        "streams: two publishers",
        edit(STREAMS, ("IF v_holder IS NOT NULL AND NOT p_take_over THEN", "IF false THEN")),
        test_streams.test_a_second_studio_is_told_no_or_takes_over,
    ),
    Mutation(
        "streams: everybody sets previews",
        edit(
            STREAMS,
            (
                "WHERE id = p_live_stream_id AND streamer_id = v_caller FOR NO KEY UPDATE",
                "WHERE id = p_live_stream_id FOR NO KEY UPDATE",
            ),
        ),
        test_streams.test_a_preview_is_the_streamers_alone_to_set,
    ),
]
