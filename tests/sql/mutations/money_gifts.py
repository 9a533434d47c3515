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
        edit(GIFTS, ("AND g.slot_index BETWEEN 1 AND 12 AND", "AND"))
        + "; ALTER TABLE public.gifts DROP CONSTRAINT gifts_slot_1_to_12",
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: the slot is not kept",
        edit(GIFTS, ("q.live_stream_id, q.slot_index, q.price,", "q.live_stream_id, 1, q.price,")),
        test_gifts.test_everybody_reads_gifts_and_nobody_writes_them,
    ),
    Mutation(
        "gifts: to oneself",
        edit(GIFTS, (" AND g.recipient_id <> g.sender_id\n", "\n"))
        + "; ALTER TABLE public.gifts DROP CONSTRAINT gifts_not_to_oneself",
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: in somebody else's stream",
        edit(
            GIFTS,
            (
                "WHERE s.id = g.live_stream_id AND s.streamer_id = g.recipient_id AND s.live_available)",
                "WHERE s.id = g.live_stream_id AND s.live_available)",
            ),
        ),
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: to a stream that has ended",
        edit(GIFTS, (" AND s.live_available))\n", "))\n")),
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
            ("            AND NOT private.is_blocked_pair(g.sender_id, g.recipient_id)\n", ""),
        ),
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: on credit",
        edit(GIFTS, ("w.id = q.wallet AND w.balance >= q.price", "w.id = q.wallet"))
        + "; ALTER TABLE private.ledger_accounts DROP CONSTRAINT ledger_accounts_balance_not_negative",
        test_gifts.test_ten_gifts_at_once_with_coins_for_three,
    ),
    Mutation(
        "gifts: on credit, one at a time",
        edit(GIFTS, ("w.id = q.wallet AND w.balance >= q.price", "w.id = q.wallet")),
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
                "(3, v_given_earnings, 'earnings', -q.price),\n            (4, q.earnings, 'earnings', q.share), (5, v_revenue, 'earnings', q.price - q.share)",
                "(3, v_given_earnings, 'earnings', -q.share),\n            (4, q.earnings, 'earnings', q.share)",
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
        edit(GIFTS, ("        ON CONFLICT (id) DO NOTHING\n", "")),
        test_gifts.test_the_same_gift_ten_times_at_once_is_one_gift,
    ),
    Mutation(
        "gifts: together, a sender's second is paid for by nobody",
        edit(GIFTS, ("SELECT DISTINCT ON (g.sender_id)\n", "SELECT\n")),
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: together, the banned give, too",
        edit(GIFTS, ("            AND NOT private.is_banned(g.sender_id)\n", "")),
        test_gifts.test_together_only_what_is_simple_is_given,
    ),
    Mutation(
        "gifts: nobody is told",
        edit(
            GIFTS,
            (
                "(n.g).recipient_id, (n.g).id FROM given AS n",
                "(n.g).recipient_id, (n.g).id FROM given AS n WHERE false",
            ),
        ),
        test_gift_events.test_a_gift_is_told_to_chat_and_tile_once_it_is_committed,
    ),
    Mutation(
        "gifts: chat says nothing",
        edit(EVENTS, ("ON s.id = (i.g).live_stream_id\n", "ON false\n")),
        test_gift_events.test_a_gift_is_told_to_chat_and_tile_once_it_is_committed,
    ),
    Mutation(
        "gifts: chat says it in nobody's name",
        edit(EVENTS, ("WHERE p.id = (i.g).sender_id), 'gift'", "WHERE false), 'gift'")),
        test_gift_events.test_the_blocked_do_not_read_of_each_others_gifts,
        {"by": "viewer"},
    ),
    Mutation(
        "gifts: told in any order",
        edit(
            EVENTS,
            (
                "LEFT JOIN said AS a ON a.gift_id = (i.g).id\n    ORDER BY i.id",
                "LEFT JOIN said AS a ON a.gift_id = (i.g).id ORDER BY i.id DESC",
            ),
        ),
        test_gift_events.test_gifts_are_told_in_the_order_they_were_sent,
    ),
]
