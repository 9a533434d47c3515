"""Who sends gifts in a bench: people with coins they bought, and streamers with streams."""

import asyncpg

SENDERS = 1_000
STREAMERS = 1_000
# The rest of a purse of 1,750,000 coins buys 175,000 roses: nobody runs out.
PURSE = 1_750_000

# Ids are made of numbers, so that load scripts can name people without asking who there is.
SETUP = f"""
CREATE FUNCTION pg_temp.person(n integer) RETURNS uuid
LANGUAGE sql RETURN md5('person ' || n)::uuid;
INSERT INTO auth.users (id)
SELECT pg_temp.person(n) FROM generate_series(1, {SENDERS + STREAMERS}) AS n;
INSERT INTO public.profiles (id, name, display_name)
SELECT pg_temp.person(n), 'person' || n, 'Person ' || n
FROM generate_series(1, {SENDERS + STREAMERS}) AS n;
INSERT INTO public.live_streams (id, streamer_id)
SELECT md5('stream ' || n)::uuid, pg_temp.person(n)
FROM generate_series({SENDERS + 1}, {SENDERS + STREAMERS}) AS n;
-- Live for as long as it takes, although nobody's studio is open: gifts go to who is live.
INSERT INTO private.publisher_leases (live_stream_id, session_id, expires_at)
SELECT id, gen_random_uuid(), 'infinity' FROM public.live_streams;
UPDATE public.live_streams SET live_available = true;
SELECT count(public.process_coin_purchase(
    pg_temp.person(n), 'web', 'bench', 'event ' || n, 'payment ' || n, {PURSE}, 25000))
FROM generate_series(1, {SENDERS}) AS n;
"""

# Gifts of the past, posted as ever but many in one statement; what they cost was bought before.
HISTORY = """
WITH past AS (
    SELECT gen_random_uuid() AS id, md5('person ' || (1001 + n % 1000))::uuid AS recipient,
        nextval(pg_get_serial_sequence('private.ledger_transactions', 'id')) AS transaction
    FROM generate_series(1, $2::integer) AS n
), sender AS (
    SELECT a.id, a.profile_id FROM private.ledger_accounts AS a
    WHERE a.profile_id = md5('person ' || $1::integer)::uuid AND a.kind = 'wallet'
), given AS (
    INSERT INTO public.gifts (id, sender_id, recipient_id, gift_type_id, slot_index, price,
        streamer_share, platform_share)
    SELECT p.id, s.profile_id, p.recipient, 'heart', 1, 1, 0, 1 FROM past AS p, sender AS s
), transactions AS (
    INSERT INTO private.ledger_transactions (id, kind, source_id) OVERRIDING SYSTEM VALUE
    SELECT p.transaction, 'gift', p.id FROM past AS p
), entries AS (
    INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
    SELECT p.transaction, e.line, coalesce(e.account_id, s.id), e.currency, e.amount
    FROM past AS p, sender AS s, (VALUES
        (1, NULL, 'coins', -1), (2, 5, 'coins', 1), (3, 6, 'earnings', -1), (4, 7, 'earnings', 1)
    ) AS e (line, account_id, currency, amount)
), queue AS (
    INSERT INTO private.ledger_queue (transaction_id) SELECT p.transaction FROM past AS p
)
UPDATE private.ledger_accounts AS a SET balance = a.balance - $2 FROM sender AS s WHERE a.id = s.id
"""


async def settle_in(admin: asyncpg.Connection) -> None:
    """Make the people, their coins and streams."""
    await admin.execute(SETUP)


async def give_history(admin: asyncpg.Connection, number: int, entries: int) -> None:
    """Let a sender have given that many gifts of one coin before: as many entries on the wallet."""
    for _ in range(entries // 50_000):
        await admin.execute(HISTORY, number, 50_000)
        await drained(admin)


async def drained(admin: asyncpg.Connection) -> None:
    """Fold until nothing waits."""
    while await admin.fetchval("SELECT private.fold(5000)"):
        pass
    while await admin.fetchval("SELECT EXISTS (SELECT FROM private.ledger_queue)"):
        # The server of the product folds, too, and may just be at it.
        await admin.fetchval("SELECT private.fold(5000), pg_sleep(0.05)")
