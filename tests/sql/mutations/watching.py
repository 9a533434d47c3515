"""Damage to who counts as watching."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_direct_writes, test_moderation, test_presence, test_publishing
from tests.sql.mutations.damage import Mutation, edit, everybody

PRESENCE = "code/presence"
DIRECT_WRITES = "code/direct_writes"

MUTATIONS = [
    Mutation(
        "presence: the invisible count",
        "ALTER TABLE public.active_viewers ALTER COLUMN is_watching"
        " SET EXPRESSION AS (is_active AND is_unmuted AND is_subscribed)",
        test_publishing.test_every_flag_is_needed_to_count,
        {"missing": 4},
    ),
    Mutation(
        "presence: a heartbeat for somebody else",
        edit(
            PRESENCE,
            (
                "IF p_viewer_id IS DISTINCT FROM v_caller AND p_viewer_id IS NOT NULL THEN",
                "IF false THEN",
            ),
        ),
        test_presence.test_a_heartbeat_for_somebody_else_is_refused,
    ),
    Mutation(
        "presence: a heartbeat's flags are down by default",
        edit(PRESENCE, ("p_is_active boolean DEFAULT true", "p_is_active boolean DEFAULT false")),
        test_presence.test_a_heartbeat_needs_no_more_than_the_stream,
    ),
    Mutation(
        "presence: ended streams are watched",
        edit(PRESENCE, ("WHEN NOT s.live_available THEN 'LW021'", "")),
        test_presence.test_an_unknown_or_ended_stream_is_refused_and_leaves_no_row,
    ),
    Mutation(
        "presence: the banned watch",
        edit(PRESENCE, ("WHEN private.is_banned(p_viewer_id) THEN 'LW002'", "")),
        test_moderation.test_a_live_token_of_the_banned_does_nothing,
    ),
    Mutation(
        "presence: the blocked watch",
        edit(
            PRESENCE, ("WHEN private.is_blocked_pair(s.streamer_id, p_viewer_id) THEN 'LW022'", "")
        ),
        test_presence.test_a_blocked_pair_does_not_watch_each_other,
    ),
    Mutation(
        "presence: streamers may not watch themselves",
        edit(
            PRESENCE,
            (
                "WHEN NOT s.live_available THEN 'LW021'",
                "WHEN s.streamer_id = p_viewer_id THEN 'LW021'",
            ),
        ),
        test_presence.test_a_streamer_watches_their_own_stream_like_everybody,
    ),
    Mutation(
        "presence: two tabs are one row",
        edit(
            PRESENCE,
            (
                "SELECT b.stream_id, b.viewer_id, b.session_id, b.sequence,\n",
                "SELECT b.stream_id, b.viewer_id, '00000000-0000-0000-0000-000000000000', b.sequence,\n",
            ),
        ),
        test_presence.test_two_tabs_with_different_flags_qualify_if_any_does,
    ),
    Mutation(
        "presence: late heartbeats are believed",
        edit(
            PRESENCE,
            ("OR (b.sequence > a.sequence AND (", "OR (true AND ("),
            ("WHERE excluded.sequence > a.sequence", ""),
        ),
        test_presence.test_an_older_or_equal_sequence_is_ignored,
        {"late": 2},
    ),
    Mutation(
        "presence: repeated renewals are believed",
        edit(PRESENCE, ("AND b.sequence > a.sequence AND NOT a.has_left", "AND NOT a.has_left")),
        test_presence.test_a_repeated_renewal_does_not_lengthen_a_life,
    ),
    Mutation(
        "presence: a leave forgets its row",
        edit(PRESENCE, ("has_left = true, sequence = l.sequence", "has_left = true")),
        test_presence.test_a_leave_beats_an_older_heartbeat_that_arrives_late,
    ),
    Mutation(
        "presence: late leaves are believed",
        edit(
            PRESENCE,
            (
                "AND a.session_id = l.session_id AND l.sequence > a.sequence",
                "AND a.session_id = l.session_id",
            ),
        ),
        test_presence.test_a_leave_beats_an_older_heartbeat_that_arrives_late,
    ),
    Mutation(
        "presence: a leave ends all tabs",
        edit(
            PRESENCE,
            (
                "AND a.session_id = l.session_id AND l.sequence > a.sequence",
                "AND l.sequence > a.sequence",
            ),
        ),
        test_presence.test_a_leave_names_one_stream_or_all_of_its_own_session,
    ),
    Mutation(
        "presence: a refused heartbeat renews",
        edit(
            PRESENCE,
            (
                "AND b.flags = a.is_active::integer + 2 * a.is_unmuted::integer + 4 * a.is_visible::integer + 8 * a.is_subscribed::integer\n",
                "\n",
            ),
        ),
        test_presence.test_a_refused_message_changes_nothing,
    ),
    Mutation(
        "presence: thirteen tiles",
        edit(PRESENCE, ("v_tiles + cardinality(p_streams) > v_rule.max_tiles", "false")),
        test_presence.test_a_thirteenth_tile_is_refused,
    ),
    Mutation(
        "presence: five active tiles",
        edit(
            PRESENCE,
            (
                "v_active + cardinality(array_positions(p_active, true)) > v_rule.max_active_tiles",
                "false",
            ),
        ),
        test_presence.test_a_fifth_active_tile_is_refused,
    ),
    Mutation(
        "presence: any number of sessions",
        edit(PRESENCE, ("v_sessions >= v_rule.max_sessions", "false")),
        test_presence.test_one_account_watches_from_eight_sessions_at_most,
    ),
    Mutation(
        "presence: tiles that were left take room",
        edit(
            PRESENCE,
            (
                "AND NOT a.has_left AND a.last_active_at > private.clock()",
                "AND a.last_active_at > private.clock()",
            ),
        ),
        test_presence.test_tiles_that_were_left_or_fell_silent_make_room,
    ),
    Mutation(
        "presence: direct writes know no limits",
        edit(
            DIRECT_WRITES,
            (
                "private.wall_refusal(p_viewer_id, p_session_id, ARRAY[p_stream_id], ARRAY[p_is_active])",
                "NULL",
            ),
        ),
        test_direct_writes.test_direct_writes_obey_the_limits_of_tiles,
    ),
    Mutation(
        "presence: direct writes into blocked streams",
        edit(DIRECT_WRITES, ("private.refusal(p_stream_id, p_viewer_id),\n", "NULL,\n")),
        test_direct_writes.test_direct_writes_of_a_blocked_pair_are_refused,
    ),
    Mutation(
        "presence: no lock per viewer",
        edit(
            PRESENCE,
            (
                "    PERFORM pg_advisory_xact_lock(private.viewer_key(p_viewer_id));\n",
                "",
            ),
        ),
        test_direct_writes.test_two_direct_writes_race_for_the_last_tile,
    ),
    Mutation(
        "presence: a direct update locks its row first",
        everybody(
            "active_viewers_update_own",
            "active_viewers",
            "USING (viewer_id = (SELECT private.acting_profile()))",
        ),
        test_direct_writes.test_a_direct_update_never_deadlocks_with_the_servers_batch,
    ),
    Mutation(
        "presence: a direct update is no heartbeat",
        "DROP TRIGGER active_viewers_stamp ON public.active_viewers",
        test_direct_writes.test_an_update_is_a_heartbeat_and_changes_flags_at_once,
    ),
    Mutation(
        "presence: lowering needs a live stream",
        edit(DIRECT_WRITES, ("private.only_lowers(v_old, p_new)", "false")),
        test_direct_writes.test_demand_may_be_lowered_after_the_stream_has_ended_but_not_raised,
    ),
    Mutation(
        "presence: lowering renews what is gone",
        edit(DIRECT_WRITES, ("IF NOT private.only_lowers(OLD, NEW)", "IF true")),
        test_direct_writes.test_lowering_brings_back_no_tile_that_is_gone,
    ),
    Mutation(
        "presence: direct writes wait for the reconciler",
        "DROP TRIGGER active_viewers_follow ON public.active_viewers",
        test_direct_writes.test_an_inserted_row_counts_and_a_deleted_one_no_longer,
    ),
    Mutation(
        "presence: cleanup removes the living",
        edit(
            PRESENCE,
            (
                "WHERE b.last_active_at <= private.clock() - rule.viewer_silence",
                "WHERE b.last_active_at <= private.clock()",
            ),
        ),
        test_presence.test_cleanup_removes_only_what_was_silent_for_sixty_seconds,
    ),
    Mutation(
        "presence: cleanup removes nobody",
        edit(
            PRESENCE,
            ("WHERE b.last_active_at <= private.clock() - rule.viewer_silence", "WHERE false"),
        ),
        test_presence.test_cleanup_removes_only_what_was_silent_for_sixty_seconds,
    ),
]
