"""What a row of the previous schema may break, in words, and what becomes of it.

The keys are those that sql/adoption/1_prepare.sql gives to rows; docs/adopting.md lists them.
"""

# Each: the table, what is wrong and how to put it right, and the query that names the rows.
REFUSALS: dict[str, tuple[str, str, str]] = {
    "balance_disagrees_with_history": (
        "ledger_entries",
        (
            "the balance is not the sum of its ledger entries. Find out which is right, then set "
            "the balance on profiles, or add a ledger entry for the difference"
        ),
        """
        WITH told AS (
            SELECT profile_id, sum(amount) FILTER (WHERE currency <> 'earnings') AS coins,
                   sum(amount) FILTER (WHERE currency = 'earnings') AS earnings
            FROM adopting.old_ledger_entries GROUP BY profile_id
        ), compared AS (
            SELECT p.id, p.name, c.currency, c.balance, c.history
            FROM adopting.old_profiles AS p LEFT JOIN told AS t ON t.profile_id = p.id
            CROSS JOIN LATERAL (VALUES
                ('coins', p.coins, coalesce(t.coins, 0)),
                ('earnings', p.earnings, coalesce(t.earnings, 0))) AS c (currency, balance, history)
        )
        SELECT format('%s (%s): %s %s, its entries say %s', name, id, balance, currency, history)
        FROM compared WHERE balance <> history ORDER BY name, currency
        """,
    ),
    "entries_of_nobody": (
        "ledger_entries",
        (
            "entries of people who have no profile do not sum to zero, so coins are somewhere that "
            "nobody has. Restore the profile, or add the entry that takes them out"
        ),
        """
        SELECT format('%s: %s %s', coalesce(profile_id::text, 'nobody'), sum(amount), currency)
        FROM adopting.old_ledger_entries AS e
        WHERE NOT EXISTS (SELECT FROM adopting.old_profiles AS p WHERE p.id = e.profile_id)
        GROUP BY profile_id, currency HAVING sum(amount) <> 0 ORDER BY 1
        """,
    ),
    "balance_is_not_whole": (
        "profiles",
        "coins and earnings are whole numbers. Round the balance, with a ledger entry for it",
        """
        SELECT format('%s (%s): %s coins, %s earnings', name, id, coins, earnings)
        FROM adopting.old_profiles
        WHERE coins <> trunc(coins) OR earnings <> trunc(earnings) OR 'NaN' IN (coins, earnings)
            OR greatest(abs(coins), abs(earnings)) > 1000000000000000
        ORDER BY name
        """,
    ),
    "earnings_below_zero": (
        "profiles",
        "nobody can earn less than nothing. Settle it, with a ledger entry for it",
        (
            "SELECT format('%s (%s): %s', name, id, earnings) FROM adopting.old_profiles"
            " WHERE earnings < 0 ORDER BY name"
        ),
    ),
    "profile_said_twice": (
        "profiles",
        "two profiles have this id, or one has none. Remove or merge them",
        (
            "SELECT coalesce(id::text, 'none') FROM adopting.old_profiles"
            " GROUP BY id HAVING count(*) > 1 OR id IS NULL"
        ),
    ),
}

COLUMN_NOT_FOUND = (
    "without this column no row of the table can come along as what it is. Rename the one that you "
    "have (ALTER TABLE ... RENAME COLUMN ...), or add it if there is none"
)
ACCOUNT_MISSING = (
    "auth.users has no account of this id, so nobody can sign in as this person. Make the account "
    "there, or remove the profile if its money is nobody's"
)

KEPT_BACK: dict[str, str] = {
    "id_missing": "it has no id to be known by",
    "person_unknown": "it names somebody who has no profile",
    "link_is_no_web_address": "a link is an http or https address of up to 300 characters",
    "link_after_the_tenth": "a profile has up to ten links",
    "to_oneself": "nobody follows or blocks themselves",
    "said_twice": "the same is there already",
    "follow_across_a_block": "whoever is blocked does not follow",
    "stream_is_older": "each streamer has one stream: the newest; chat and gifts moved to it",
    "stream_unknown": "it belongs to no stream that came along",
    "message_is_empty": "nothing of it can be seen",
    "slot_not_1_to_12": "a slot is a number from 1 to 12",
    "pack_does_not_fit": "a pack is for web, ios or android, of whole coins, for whole cents, "
    "and its id has up to 100 visible characters",
    "gift_type_does_not_fit": "an id has visible characters only, a price is whole and positive",
    "gift_to_oneself": "a gift goes to somebody else; what it did to the balance stays done",
    "gift_price_does_not_fit": "price and share are whole, and the share is part of the price",
    "purchase_amounts_do_not_fit": "whole coins for whole cents, more than none of each; what it "
    "did to the balance stays done",
    "purchase_status_unknown": "the status is none that we can act on, such as an open dispute; "
    "settle it with the provider",
    "payment_said_twice": "a payment is one purchase: the first that was paid, else the first; "
    "what the others did to the balance stays done",
}

ADAPTED: dict[str, str] = {
    "name_does_not_fit": "a name is 3 to 24 of a-z, 0-9, dot and underscore, and not one of the "
    "platform's; it got a new one",
    "name_taken": "the oldest of those whose names look alike keeps it; it got a new one",
    "name_in_lower_case": "names are in lower case; the shown name stays as written",
    "display_name_cut": "a shown name has up to 40 characters",
    "display_name_replaced": "it looked like the platform's own; now it is the name",
    "bio_cut": "a text about oneself has up to 300 characters",
    "balance_is_a_debt": "a balance below zero is a debt: buying coins repays it first",
    "link_label_cleaned": "a label is visible text of up to 40 characters",
    "date_can_not_be": "a date is between 1970 and now; it has that of the move",
    "title_cut": "a title has up to 80 characters",
    "message_cut": "a message has up to 500 characters",
    "gift_of_another_stream": "it is told of the streamer's one stream, or of none",
    "provider_unreadable": "a provider is named by small letters; now it is `previous`",
    "provider_id_unreadable": "an id of a payment or an event has up to 255 visible characters; "
    "it goes without, and the provider has to be asked about it",
    "pack_id_unreadable": "a pack's id has up to 100 visible characters; it goes without",
    "emoji_replaced": "an emoji has up to 16 characters; now it is 🎁",
    "event_said_twice": "an event is of one purchase: the first; the others go without",
    "purchase_over_the_limit": "it is over today's limit: if paid it stands, if open it is held",
    "purchase_over_the_threshold": "today it takes an approval: if paid it stands, if open it "
    "waits for one",
}
