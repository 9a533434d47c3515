"""Damage to gifts and to what is told of them."""

# ruff: noqa: E501 - SQL is quoted as it stands there, in longer lines

from tests.sql import test_gift_events, test_gifts
from tests.sql.mutations.damage import Mutation, edit

GIFTS = "code/gifts"
EVENTS = "code/events"

MUTATIONS = [
    Mutation(
        "gifts: anon may truncate",
        "GRANT TRUNCATE ON public.gifts TO anon; DROP TRIGGER gifts_append_only ON public.gifts",
        test_gifts.test_everybody_reads_gifts_and_nobody_writes_them,
    ),
    Mutation(
        "gifts: not everybody reads them",
        "ALTER POLICY gifts_select_all ON public.gifts USING (sender_id = (SELECT auth.uid()))",
        test_gifts.test_everybody_reads_gifts_and_nobody_writes_them,
    ),
    Mutation(
        "gifts: any slot",
        edit(GIFTS, ("AND p_slot_index BETWEEN 1 AND 12 AND", "AND"))
        + "; ALTER TABLE public.gifts DROP CONSTRAINT gifts_slot_1_to_12",
        test_gifts.test_a_slot_is_one_of_the_senders_wall,
        {"slot": 13},
    ),
    Mutation(
        "gifts: the slot is not kept",
        edit(GIFTS, ("p_slot_index, v_ok.price, v_ok.share,", "1, v_ok.price, v_ok.share,")),
        test_gifts.test_everybody_reads_gifts_and_nobody_writes_them,
    ),
    Mutation(
        "gifts: to oneself",
        edit(GIFTS, (" AND p_recipient_id <> v_sender\n", "\n"))
        + "; ALTER TABLE public.gifts DROP CONSTRAINT gifts_not_to_oneself",
        test_gifts.test_a_gift_to_oneself_is_refused,
    ),
    Mutation(
        "gifts: in somebody else's stream",
        edit(
            GIFTS,
            (
                "WHERE s.id = p_live_stream_id AND s.streamer_id = p_recipient_id AND s.live_available)",
                "WHERE s.id = p_live_stream_id AND s.live_available)",
            ),
        ),
        test_gifts.test_a_gift_to_oneself_is_refused,
    ),
    Mutation(
        "gifts: to a stream that has ended",
        edit(GIFTS, (" AND s.live_available));", "));")),
        test_gifts.test_a_gift_to_a_stream_that_has_ended_is_refused,
    ),
    Mutation(
        "gifts: by an old view",
        edit(GIFTS, ("        PERFORM private.require_present_view();\n", "        NULL;\n")),
        test_gifts.test_a_gift_is_sent_by_what_is_committed_now,
    ),
    Mutation(
        "gifts: across a block",
        edit(
            GIFTS,
            ("        AND NOT private.is_blocked_pair(v_sender, p_recipient_id)\n", ""),
        ),
        test_gifts.test_a_blocked_pair_does_not_gift,
        {"by": "streamer"},
    ),
    Mutation(
        "gifts: on credit",
        edit(GIFTS, ("WHERE id = v_ok.wallet AND balance >= v_ok.price", "WHERE id = v_ok.wallet"))
        + "; ALTER TABLE private.ledger_accounts DROP CONSTRAINT ledger_accounts_balance_not_negative",
        test_gifts.test_ten_gifts_at_once_with_coins_for_three,
    ),
    Mutation(
        "gifts: on credit, one at a time",
        edit(GIFTS, ("WHERE id = v_ok.wallet AND balance >= v_ok.price", "WHERE id = v_ok.wallet")),
        test_gifts.test_more_than_one_has_is_refused_and_leaves_nothing,
    ),
    Mutation(
        "gifts: the streamer gets the remainder",
        edit(
            GIFTS,
            (
                "t.price * m.streamer_share_percent / 100 AS share",
                "(t.price * m.streamer_share_percent + 99) / 100 AS share",
            ),
        ),
        test_gifts.test_the_split_is_a_setting_and_the_platform_gets_the_remainder,
        {"percent": 70, "price": 9, "share": 6},
    ),
    Mutation(
        "gifts: the platform gets nothing",
        edit(
            GIFTS,
            (
                "ARRAY[-v_ok.price, v_ok.price, -v_ok.price, v_ok.share, v_ok.price - v_ok.share]",
                "ARRAY[-v_ok.price, v_ok.price, -v_ok.share, v_ok.share, 0]",
            ),
        ),
        test_gifts.test_sender_streamer_and_platform_settle_in_one_transaction,
    ),
    Mutation(
        "gifts: a key for anything",
        edit(
            GIFTS,
            (
                "ELSIF (v_gift.recipient_id, v_gift.gift_type_id, v_gift.slot_index::integer, v_gift.live_stream_id)\n        IS DISTINCT FROM (p_recipient_id, p_gift_type_id, p_slot_index, p_live_stream_id)\n    THEN",
                "ELSIF false THEN",
            ),
        ),
        test_gifts.test_the_same_key_is_the_same_gift_and_other_content_is_refused,
    ),
    Mutation(
        "gifts: a key is good for one gift at a time",
        edit(GIFTS, ("    ON CONFLICT (id) DO NOTHING\n", "")),
        test_gifts.test_the_same_gift_ten_times_at_once_is_one_gift,
    ),
    Mutation(
        "gifts: nobody is told",
        edit(
            GIFTS,
            (
                "    INSERT INTO private.outbox (kind, profile_id, source_id) VALUES ('gift', p_recipient_id, v_id);\n",
                "",
            ),
        ),
        test_gift_events.test_a_gift_is_told_to_chat_and_tile_once_it_is_committed,
    ),
    Mutation(
        "gifts: chat says nothing",
        edit(EVENTS, ("WHERE s.id = p_gift.live_stream_id\n", "WHERE false\n")),
        test_gift_events.test_a_gift_is_told_to_chat_and_tile_once_it_is_committed,
    ),
    Mutation(
        "gifts: chat says it in nobody's name",
        edit(EVENTS, ("SELECT s.id, p.id, 'gift'", "SELECT s.id, NULL::uuid, 'gift'")),
        test_gift_events.test_the_blocked_do_not_read_of_each_others_gifts,
        {"by": "viewer"},
    ),
    Mutation(
        "gifts: told in any order",
        edit(EVENTS, ("SELECT t.* FROM taken AS t ORDER BY t.id", "SELECT t.* FROM taken AS t")),
        test_gift_events.test_gifts_are_told_in_the_order_they_were_sent,
    ),
]
