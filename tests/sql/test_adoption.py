"""The move from the previous schema: all of it comes along, or nothing happened."""

from typing import Any

import pytest

from livewall.adoption import Finding, adopt
from livewall.code_catalog import Connection
from livewall.migrate import Outcome, migrate
from livewall.sql_files import MigrationError
from livewall.sql_lint import lint
from tests.databases import Database, Person
from tests.sql.previous import EVERYTHING, damage, failing, settle

PEOPLE = 120
# What people have now beside what they had, where it is not the same.
OTHER_BALANCES = """
SELECT o.username FROM previous.profiles AS o
WHERE (private.balance_of(o.id, 'wallet') + private.balance_of(o.id, 'debt'),
    private.balance_of(o.id, 'earnings')) <> (o.coin_balance, o.earnings_balance)
"""
RULES = {
    ("dropped", "box_viewers", "said_twice", 1),
    ("dropped", "box_viewers", "slot_not_1_to_12", 2),
    ("kept back", "chat_messages", "message_is_empty", 1),
    ("kept back", "chat_messages", "stream_unknown", 1),
    ("kept back", "coin_purchases", "payment_said_twice", 2),
    ("kept back", "coin_purchases", "purchase_amounts_do_not_fit", 2),
    ("kept back", "coin_purchases", "purchase_status_unknown", 2),
    ("kept back", "follows", "follow_across_a_block", 1),
    ("kept back", "follows", "said_twice", 1),
    ("kept back", "follows", "to_oneself", 1),
    ("kept back", "gift_types", "gift_type_does_not_fit", 1),
    ("kept back", "gifts", "gift_price_does_not_fit", 1),
    ("kept back", "gifts", "gift_to_oneself", 1),
    ("kept back", "gifts", "slot_not_1_to_12", 1),
    ("kept back", "live_streams", "stream_is_older", 1),
    ("kept back", "user_links", "link_after_the_tenth", 2),
    ("kept back", "user_links", "link_is_no_web_address", 2),
    ("adapted", "chat_messages", "message_cut", 1),
    ("adapted", "coin_purchases", "provider_unreadable", 1),
    ("adapted", "coin_purchases", "purchase_over_the_limit", 1),
    ("adapted", "coin_purchases", "purchase_over_the_threshold", 1),
    ("adapted", "profiles", "balance_is_a_debt", 1),
    ("adapted", "profiles", "bio_cut", 1),
    ("adapted", "profiles", "display_name_cut", 1),
    ("adapted", "profiles", "display_name_replaced", 1),
    ("adapted", "profiles", "name_does_not_fit", 3),
    ("adapted", "profiles", "name_in_lower_case", 1),
    ("adapted", "profiles", "name_taken", 2),
    ("adapted", "user_links", "link_label_cleaned", 1),
}


def _rules(findings: list[Finding]) -> set[tuple[str, str, str, int]]:
    return {(f.outcome, f.table, f.rule, f.count) for f in findings}


async def _column(admin: Connection, query: str) -> list[Any]:
    return [row[0] for row in await admin.fetch(query)]


@pytest.mark.spec("S28")
async def test_what_fits_comes_along_and_what_does_not_is_kept_and_told(
    empty_database: Database,
) -> None:
    url, admin = empty_database.admin_url, await empty_database.admin()
    await settle(admin, PEOPLE)
    await damage(admin)
    before = await admin.fetchval(EVERYTHING)

    tried = await adopt(url, apply=False)
    assert (tried.outcome, _rules(tried.findings)) == ("would adopt", RULES)
    assert await admin.fetchval(EVERYTHING) == before

    done = await adopt(url, apply=True)
    assert (done.outcome, done.findings) == ("adopted", tried.findings)
    assert (done.copies, done.openings) == (tried.copies, tried.openings)
    assert (done.missing, done.unread) == ([], ["badges"])
    await _schema_is_ours(empty_database, admin)
    await _people_are_there(admin)
    await _money_is_there(empty_database, admin)

    assert (await adopt(url, apply=True)).outcome == "adopted before"
    assert await migrate(url) == Outcome()


async def _schema_is_ours(database: Database, admin: Connection) -> None:
    gone = "SELECT to_regclass(s || '.' || t) FROM unnest('{public,previous}'::text[]) AS s,"
    ended = await _column(admin, gone + " unnest('{video_boxes,box_viewers}'::text[]) AS t")
    assert set(ended) == {None}
    assert await lint(database.admin_url) == []
    open_tables = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity"
        " AND relnamespace IN ('public'::regnamespace, 'previous'::regnamespace)"
    )
    assert await _column(admin, open_tables) == []
    for role in ("anon", "authenticated", "service_role"):
        asked = f"SELECT has_schema_privilege('{role}', 'previous', 'USAGE')"
        assert await admin.fetchval(asked) is False
    # The view that showed everybody's balance went along with the tables.
    assert await admin.fetchval("SELECT to_regclass('public.leaderboard')") is None
    # Nobody but the old tables is kept alive by the old tables.
    assert (
        await admin.fetchval(
            "SELECT count(*) FROM pg_constraint AS t JOIN pg_class AS c ON c.oid = t.confrelid"
            " WHERE t.contype = 'f' AND t.connamespace = 'previous'::regnamespace"
            " AND c.relnamespace <> t.connamespace"
        )
        == 0
    )


async def _people_are_there(admin: Connection) -> None:
    assert await admin.fetchval("SELECT count(*) FROM profiles") == PEOPLE
    rows = await admin.fetch("SELECT display_name, name FROM profiles")
    names: dict[str, str] = {row["display_name"]: row["name"] for row in rows}
    assert names["Old 2"] == "old_2"
    # Person 3 was there before the one whose name looks like theirs.
    assert (names["Old 3"], names["Old 8"]) == ("old_3", "old_8")
    assert names["Old 4"].startswith("o1d_3.")
    assert names["Old 5"].startswith("n_code_n_me.")
    # What our own rules would make of these rows is what they are.
    await admin.execute("CREATE TEMP TABLE before AS SELECT * FROM profiles")
    await admin.execute("UPDATE profiles SET name = name, display_name = display_name, bio = bio")
    assert await admin.fetch("TABLE before EXCEPT TABLE profiles") == []
    links = await _column(
        admin,
        "SELECT l.label || ' ' || l.url FROM user_links AS l JOIN profiles AS p"
        " ON p.id = l.profile_id WHERE p.name = 'old_12'",
    )
    assert links == ["link https://fine.example"]
    assert await admin.fetchval("SELECT count(*) FROM live_streams WHERE live_available") == 0
    words = await _column(admin, "SELECT body FROM chat_messages WHERE body LIKE 'in the%'")
    assert words == ["in the older"]
    assert (
        await admin.fetchval(
            "SELECT slot_index FROM user_grid_slots WHERE viewer_id = md5('old 20')::uuid"
        )
        == 20 % 12 + 1
    )
    # Box 0 could not come along, box 7 of the same streamer could.
    assert await _column(
        admin, "SELECT slot_index FROM user_grid_slots WHERE viewer_id = md5('old 42')::uuid"
    ) == [7]


async def _money_is_there(database: Database, admin: Connection) -> None:
    assert await failing(database) == []
    assert await _column(admin, OTHER_BALANCES) == []
    gift = await admin.fetchrow("SELECT * FROM gifts WHERE id = md5('gave 4')::uuid")
    assert gift is not None
    assert (gift["slot_index"], gift["price"], gift["streamer_share"]) == (5, 12, 8)
    rows = await admin.fetch(
        "SELECT n, c.status, c.requires_approval, c.max_purchase_limit::integer"
        " FROM unnest('{bought 1,large,open,refunded,refused,settled}'::text[]) AS n"
        " JOIN coin_purchases AS c ON c.id = md5(n)::uuid"
    )
    assert {tuple(row) for row in rows} == {
        ("bought 1", "completed", False, 50_000),
        ("large", "completed", False, 60_000),
        ("open", "pending", True, 50_000),
        ("refunded", "refunded", False, 50_000),
        ("refused", "failed", False, 50_000),
        ("settled", "completed", False, 50_000),
    }
    event = "SELECT provider_event_id FROM coin_purchases WHERE id = md5('settled')::uuid"
    assert await admin.fetchval(event) == "evt_settled"
    # Ours, not the function of that name that was there before.
    person = await database.as_person(
        Person(await admin.fetchval("SELECT md5('old 70')::uuid"), "")
    )
    wallet = await person.fetchval("SELECT my_wallet() - 'earnings'")
    assert '"debt": 3962' in wallet
    # Openings came with the move: one that somebody adds is seen.
    async with admin.transaction():
        await admin.execute(
            "SELECT private.post('opening', md5('old 1')::uuid, ARRAY[8, a.id],"
            " '{coins,coins}', '{-5,5}'), private.move(a.id, 5) FROM private.ledger_accounts AS a"
            " WHERE a.kind = 'wallet' AND a.profile_id = md5('old 1')::uuid"
        )
    assert await failing(database) == ["openings_match_the_move"]


@pytest.mark.spec("S28")
async def test_money_that_does_not_add_up_is_refused_until_it_does(
    empty_database: Database,
) -> None:
    url, admin = empty_database.admin_url, await empty_database.admin()
    await settle(admin, 20, accounts=False)
    await admin.execute(
        "UPDATE profiles SET coin_balance = coin_balance + 7 WHERE username = 'old_3';"
        "UPDATE profiles SET earnings_balance = -1 WHERE username = 'old_5';"
        "INSERT INTO ledger_entries (entry_type, amount) VALUES ('lost', 9)"
    )
    before = await admin.fetchval(EVERYTHING)
    refused = await adopt(url, apply=True)
    assert refused.outcome == "refused"
    told = {f.rule: f.rows for f in refused.findings if f.outcome == "refused"}
    off, earned = told.pop("balance_disagrees_with_history")
    assert off.startswith("old_3 (")
    assert off.endswith(": 1057 coins, its entries say 1050")
    assert earned.endswith(": -1 earnings, its entries say 8")
    assert [*told] == ["entries_of_nobody", "earnings_below_zero"]
    assert await admin.fetchval(EVERYTHING) == before

    await admin.execute(
        "INSERT INTO ledger_entries (user_id, entry_type, amount)"
        " SELECT id, 'found', 7 FROM profiles WHERE username = 'old_3';"
        "UPDATE profiles SET earnings_balance = 8 WHERE username = 'old_5';"
        "INSERT INTO ledger_entries (entry_type, amount) VALUES ('found', -9)"
    )
    assert (await adopt(url, apply=True)).outcome == "adopted"
    assert await failing(empty_database) == []
    # Accounts are ours here: everybody has got one, to which a password can be given.
    assert await admin.fetchval("SELECT count(*) FROM auth.users") == 20


@pytest.mark.spec("S28")
async def test_tables_that_are_not_there_are_named_and_read_as_empty(
    empty_database: Database,
) -> None:
    url, admin = empty_database.admin_url, await empty_database.admin()
    await settle(admin, 15)
    await admin.execute(
        "DROP TABLE blocks, gift_types, ledger_entries, coin_purchases, box_viewers;"
        "ALTER TABLE gifts DROP COLUMN streamer_share, ALTER COLUMN id DROP DEFAULT,"
        " ALTER COLUMN id TYPE text"
    )
    done = await adopt(url, apply=True)
    assert done.missing == [
        "blocks",
        "box_viewers",
        "gift_types",
        "coin_purchases",
        "ledger_entries",
        "gifts.streamer_share",
    ]
    assert done.openings is not None
    assert await _column(admin, OTHER_BALANCES) == []
    assert await failing(empty_database) == []
    # The catalogue has what was given, even if no catalogue came along.
    assert await admin.fetchval("SELECT count(*) FROM gifts WHERE gift_type_id = 'rose'") == 5


@pytest.mark.spec("S28")
async def test_a_column_of_another_name_is_not_taken_for_one_that_is_not_there(
    empty_database: Database,
) -> None:
    url, admin = empty_database.admin_url, await empty_database.admin()
    await settle(admin, 20)
    await admin.execute(
        "DELETE FROM gifts; DROP TABLE ledger_entries;"
        "ALTER TABLE coin_purchases RENAME usd_amount TO amount_cents;"
        "ALTER TABLE profiles RENAME coin_balance TO coins_left;"
        "ALTER TABLE profiles DROP COLUMN bio;"
        "ALTER TABLE gifts DROP COLUMN box_position"
    )
    refused = await adopt(url, apply=True)
    assert refused.outcome == "refused"
    told = {f.table: f.rows for f in refused.findings if f.rule == "column_not_found"}
    assert told == {
        "profiles": [
            "profiles.coins (or coin_balance, balance)",
            "columns of profiles that go by none of our names: coins_left",
        ],
        "coin_purchases": [
            "coin_purchases.usd (or usd_amount)",
            "columns of coin_purchases that go by none of our names: amount_cents",
        ],
    }
    # Nobody misses it enough to stop for it, and there are no gifts.
    named = [
        "ledger_entries",
        "profiles.bio (or about)",
        "gifts.slot_index (or box_position)",
    ]
    assert [what for what in refused.missing if what in named] == named
    await admin.execute(
        "ALTER TABLE coin_purchases RENAME amount_cents TO usd;"
        "ALTER TABLE profiles RENAME coins_left TO coins"
    )
    done = await adopt(url, apply=True)
    assert (done.outcome, done.missing) == ("adopted", named)


async def test_what_is_not_the_previous_schema_is_left_alone(
    empty_database: Database, database: Database
) -> None:
    with pytest.raises(MigrationError, match="There is no previous schema here"):
        await adopt(empty_database.admin_url, apply=True)
    with pytest.raises(MigrationError, match="has Livewall's schema already"):
        await adopt(database.admin_url, apply=True)


async def test_sign_ups_that_write_into_the_old_tables_stop_the_move(
    empty_database: Database,
) -> None:
    admin = await empty_database.admin()
    await settle(admin, 15)
    await admin.execute(
        "CREATE TRIGGER on_sign_up AFTER INSERT ON auth.users"
        " FOR EACH ROW EXECUTE FUNCTION public.touch()"
    )
    with pytest.raises(MigrationError, match="Trigger on_sign_up on auth"):
        await adopt(empty_database.admin_url, apply=True)
