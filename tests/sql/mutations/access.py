"""Damage to what each role may see and write."""

from tests.sql import (
    test_calls,
    test_chat,
    test_direct_writes,
    test_grid,
    test_identity,
    test_matrix,
    test_presence,
    test_roles,
    test_social,
    test_streams,
)
from tests.sql.mutations.damage import Mutation, edit, everybody

MUTATIONS = [
    Mutation(
        "profiles: everybody updates everybody",
        everybody("profiles_update_own", "profiles", "USING (true) WITH CHECK (true)"),
        test_identity.test_people_edit_their_own_profile_and_nobody_elses,
    ),
    Mutation(
        "profiles: being a guest is editable",
        "GRANT UPDATE (is_guest) ON public.profiles TO authenticated",
        test_matrix.test_every_role_has_exactly_these_privileges_on_columns,
    ),
    Mutation(
        "live_streams: derived columns are writable",
        "GRANT UPDATE ON public.live_streams TO authenticated",
        test_streams.test_a_streamer_cannot_set_what_is_derived,
        {"column": "is_published"},
    ),
    Mutation(
        "live_streams: everybody updates every stream",
        everybody("live_streams_update_own", "live_streams", "USING (true) WITH CHECK (true)"),
        test_streams.test_nobody_else_changes_a_stream,
    ),
    Mutation(
        "active_viewers: others' rows are visible",
        everybody("active_viewers_select_own", "active_viewers", "USING (true)"),
        test_direct_writes.test_rows_of_others_cannot_be_written_or_seen,
    ),
    Mutation(
        "active_viewers: one may watch as somebody else",
        everybody("active_viewers_insert_own", "active_viewers", "WITH CHECK (true)"),
        test_roles.test_nobody_inserts_a_row_for_somebody_else,
        {"table": "active_viewers"},
    ),
    Mutation(
        "active_viewers: time is writable",
        "GRANT INSERT (last_active_at), UPDATE (last_active_at) ON public.active_viewers"
        " TO authenticated",
        test_presence.test_time_comes_from_the_database_alone,
    ),
    Mutation(
        "follows: one may follow as somebody else",
        everybody("follows_insert_own", "follows", "WITH CHECK (true)"),
        test_social.test_following_is_public_and_only_for_oneself,
    ),
    Mutation(
        "user_links: everybody deletes everybody's",
        everybody("user_links_delete_own", "user_links", "USING (true)"),
        test_social.test_ten_links_at_most_and_only_ones_own,
    ),
    Mutation(
        "user_grid_slots: others' walls are visible",
        everybody("user_grid_slots_select_own", "user_grid_slots", "USING (true)"),
        test_grid.test_plain_sql_sees_and_changes_only_the_own_wall,
    ),
    Mutation(
        "blocks: the blocked see who blocked them",
        everybody("blocks_select_own", "blocks", "USING (true)"),
        test_social.test_blocks_are_known_to_who_made_them_only,
    ),
    Mutation(
        "chat_messages: anon may truncate",
        "GRANT TRUNCATE ON public.chat_messages TO anon",
        test_roles.test_nobody_gets_around_policies,
        {"table": "chat_messages"},
    ),
    Mutation(
        "chat_reports: everybody reads them",
        edit(
            "code/chat",
            ("NOT private.has_staff_role(private.require_caller(), 'moderator', 'admin')", "false"),
        ),
        test_chat.test_moderators_read_what_was_reported_and_nobody_else_does,
    ),
    Mutation(
        "a function for everybody",
        "GRANT EXECUTE ON FUNCTION public.create_guest TO PUBLIC",
        test_matrix.test_every_function_is_for_exactly_these_roles,
    ),
    Mutation(
        "call_as takes any role",
        edit(
            "code/foundation", ("p_role NOT IN ('anon', 'authenticated', 'service_role')", "false")
        ),
        test_calls.test_only_the_three_roles_of_callers_can_be_taken,
        {"role": "livewall_owner"},
    ),
]
