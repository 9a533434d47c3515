"""Damage to chat, blocks, names and bans."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_chat, test_identity, test_moderation, test_social
from tests.sql.mutations.damage import Mutation, edit, everybody

CHAT = "code/chat"
SOCIAL = "code/social"
IDENTITY = "code/identity"
MODERATION = "code/moderation"
PUBLISHING = "code/publishing"
STREAMS = "code/streams"

MUTATIONS = [
    Mutation(
        "chat: forged system messages",
        edit(CHAT, ("IF NEW.type IS DISTINCT FROM 'text' THEN", "IF false THEN")),
        test_chat.test_a_forged_kind_of_message_is_refused,
        {"kind": "system"},
    ),
    Mutation(
        "chat: forged system messages past the trigger",
        everybody("chat_messages_insert_own", "chat_messages", "WITH CHECK (true)")
        + ";"
        + edit(CHAT, ("IF NEW.type IS DISTINCT FROM 'text' THEN", "IF false THEN")),
        test_chat.test_a_forged_kind_of_message_is_refused,
        {"kind": "gift"},
    ),
    Mutation(
        "chat: speaking as somebody else",
        edit(CHAT, ("ELSIF NEW.sender_id IS DISTINCT FROM v_caller THEN", "ELSIF false THEN")),
        test_chat.test_one_speaks_as_oneself,
    ),
    Mutation(
        "chat: no token bucket",
        edit(CHAT, ("IF v_tokens < 0 THEN", "IF false THEN")),
        test_chat.test_a_flood_is_slowed_to_one_message_every_two_seconds,
    ),
    Mutation(
        "chat: tricks stay in",
        edit(CHAT, ("NEW.body := private.clean_text(NEW.body);", "")),
        test_chat.test_tricks_are_stripped_and_languages_stay,
        {"said": "a\u200bb\u202ec\u2066d", "read_": "abcd"},
    ),
    Mutation(
        "chat: the muted write",
        edit(CHAT, ("IF v_muted_until IS NOT NULL THEN", "IF false THEN")),
        test_chat.test_the_muted_read_along_until_the_mute_ends,
    ),
    Mutation(
        "chat: everybody deletes",
        edit(
            CHAT,
            (
                "ELSIF v_message.sender_id IS DISTINCT FROM v_caller AND NOT private.may_moderate(v_message.live_stream_id, v_caller) THEN",
                "ELSIF false THEN",
            ),
        ),
        test_chat.test_author_streamer_and_moderator_may_delete,
    ),
    Mutation(
        "chat: the blocked are read",
        edit(
            CHAT,
            ("AND (m.sender_id IS NULL OR m.sender_id NOT IN (SELECT private.my_blocked()))", ""),
        ),
        test_chat.test_the_blocked_do_not_read_each_other,
    ),
    Mutation(
        "chat: the blocked write",
        edit(
            CHAT,
            (
                "ELSIF private.is_blocked_pair(v_stream.streamer_id, v_caller) THEN",
                "ELSIF false THEN",
            ),
        ),
        test_chat.test_the_blocked_do_not_write_in_each_others_chat,
    ),
    Mutation(
        "social: the blocked follow",
        edit(
            SOCIAL,
            (
                "IF EXISTS (SELECT FROM made AS m WHERE private.is_blocked_pair(m.follower_id, m.followee_id)) THEN",
                "IF false THEN",
            ),
        ),
        test_social.test_a_block_ends_and_refuses_following_both_ways,
    ),
    Mutation(
        "social: no lock for the two",
        edit(SOCIAL, ("    PERFORM pg_advisory_xact_lock(pair.key)\n", "    PERFORM pair.key\n")),
        test_social.test_of_a_follow_and_a_block_at_once_the_block_stays,
        {"following": "SELECT follow('bob')"},
    ),
    Mutation(
        "social: javascript links",
        "ALTER TABLE public.user_links DROP CONSTRAINT user_links_url_is_web",
        test_social.test_links_that_could_hurt_are_refused,
        {"url": "javascript:alert(1)"},
    ),
    Mutation(
        "identity: look-alikes",
        "ALTER TABLE public.profiles DROP CONSTRAINT profiles_name_unlike_others",
        test_identity.test_a_name_that_looks_like_another_is_taken,
        {"taken": "ma1lory"},
    ),
    Mutation(
        "identity: the banned sign in",
        edit(
            IDENTITY,
            (
                "BEGIN\n    PERFORM private.refuse_banned(p_profile_id);\n    INSERT",
                "BEGIN\n    INSERT",
            ),
        ),
        test_moderation.test_a_ban_ends_sessions_and_opens_none,
    ),
    Mutation(
        "moderation: everybody bans",
        edit(
            MODERATION,
            ("IF NOT private.has_staff_role(v_caller, 'moderator', 'admin') THEN", "IF false THEN"),
        ),
        test_moderation.test_only_moderators_ban_and_never_staff,
    ),
    Mutation(
        "moderation: the banned stay live",
        edit(MODERATION, ("WHERE streamer_id = v_other AND live_available;", "WHERE false;")),
        test_moderation.test_a_ban_ends_watching_and_the_own_stream,
    ),
    Mutation(
        "moderation: a ban does not wait for who goes live",
        edit(
            MODERATION,
            (
                ", p_also => ARRAY(SELECT id FROM public.live_streams WHERE streamer_id = v_other)",
                "",
            ),
        ),
        test_moderation.test_who_is_banned_while_going_live_is_not_live,
        {"going_live": test_moderation.UPDATE, "is_first": False},
    ),
    Mutation(
        "moderation: a ban does not wait for a first time live",
        edit(STREAMS, ("        PERFORM private.lock_viewer(v_caller);\n", "")),
        test_moderation.test_who_is_banned_while_going_live_is_not_live,
        {"going_live": test_moderation.START, "is_first": True},
    ),
    Mutation(
        "moderation: the banned go live",
        edit(PUBLISHING, ("    PERFORM private.refuse_banned(p_stream.streamer_id);\n", "")),
        test_moderation.test_who_goes_live_while_being_banned_is_refused,
        {"going_live": test_moderation.UPDATE, "is_first": False},
    ),
]
