"""What the previous schema looks like: its tables under one set of names, however they spell them.

Nobody wrote that schema down for us, so each column is found by any of the names it may have, and a
table or column that is not there reads as empty. tests/sql/previous_schema.sql is a whole one.
"""

from dataclasses import dataclass

from livewall.code_catalog import Connection
from livewall.sql_files import MigrationError

# Schemas: where the old tables are kept, and where they are looked at until the move is done.
KEPT = "previous"
STAGE = "adopting"


@dataclass(frozen=True)
class Column:
    """A column as we call it, its type, how else it may be called, and what stands for none."""

    name: str
    type: str
    names: tuple[str, ...]
    absent: str = "NULL"


def _column(name: str, kind: str, names: str = "", absent: str = "NULL") -> Column:
    return Column(name, kind, (name, *names.split()), absent)


SINCE = _column("created_at", "timestamptz", "inserted_at", "now()")

SHAPES: dict[str, tuple[Column, ...]] = {
    "profiles": (
        _column("id", "uuid"),
        _column("name", "text", "username handle"),
        _column("display_name", "text", "full_name username name"),
        _column("bio", "text", "about"),
        _column("coins", "numeric", "coin_balance balance", "0"),
        _column("earnings", "numeric", "earnings_balance earned_coins", "0"),
        _column("is_guest", "boolean", "", "false"),
        SINCE,
    ),
    "user_links": (
        _column("profile_id", "uuid", "user_id"),
        _column("position", "numeric", "sort_order id", "0"),
        _column("label", "text", "title"),
        _column("url", "text"),
    ),
    "follows": (
        _column("follower_id", "uuid"),
        _column("followee_id", "uuid", "following_id followed_id"),
        SINCE,
    ),
    "blocks": (_column("blocker_id", "uuid"), _column("blocked_id", "uuid"), SINCE),
    "live_streams": (
        _column("id", "uuid"),
        _column("streamer_id", "uuid", "profile_id user_id"),
        _column("title", "text"),
        SINCE,
    ),
    "chat_messages": (
        _column("id", "text"),
        _column("stream_id", "uuid", "live_stream_id"),
        _column("sender_id", "uuid", "profile_id user_id"),
        _column("body", "text", "message content"),
        SINCE,
    ),
    "video_boxes": (
        _column("id", "text", "position box_position"),
        _column("position", "numeric", "box_position"),
        _column("streamer_id", "uuid", "profile_id user_id"),
    ),
    "box_viewers": (
        _column("box", "text", "box_id box_position position"),
        _column("viewer_id", "uuid", "profile_id user_id"),
        _column("is_muted", "boolean", "", "false"),
    ),
    "coin_packs": (
        _column("id", "text"),
        _column("platform", "text", "", "'web'"),
        _column("title", "text", "name"),
        _column("coins", "numeric", "coin_amount"),
        _column("usd", "numeric", "usd_amount price_usd"),
        _column("is_active", "boolean", "", "true"),
    ),
    "gift_types": (
        _column("id", "text"),
        _column("title", "text", "name"),
        _column("emoji", "text", "icon"),
        _column("price", "numeric", "coin_price coins"),
        _column("is_active", "boolean", "", "true"),
    ),
    "gifts": (
        _column("id", "uuid"),
        _column("sender_id", "uuid"),
        _column("recipient_id", "uuid", "streamer_id receiver_id"),
        _column("gift_type_id", "text", "gift_type"),
        _column("stream_id", "uuid", "live_stream_id"),
        _column("slot_index", "numeric", "box_position"),
        _column("price", "numeric", "coin_amount amount"),
        _column("streamer_share", "numeric"),
        SINCE,
    ),
    "coin_purchases": (
        _column("id", "uuid"),
        _column("profile_id", "uuid", "user_id"),
        _column("coin_pack_id", "text"),
        _column("platform", "text", "", "'web'"),
        _column("provider", "text", "payment_provider"),
        _column("event_id", "text", "provider_event_id"),
        _column("payment_id", "text", "provider_payment_id payment_intent_id"),
        _column("coins", "numeric", "coin_amount"),
        _column("usd", "numeric", "usd_amount"),
        _column("status", "text"),
        _column("purchased_at", "timestamptz", "created_at", "now()"),
    ),
    "ledger_entries": (
        _column("profile_id", "uuid", "user_id"),
        _column("currency", "text", "balance_type", "'coins'"),
        _column("amount", "numeric"),
    ),
}
# Without one of these no row of its table can come along, or what comes along is nobody's: a
# column of another name must not pass for one that is not there.
NEEDED = {
    "profiles": {"id", "name"},
    "user_links": {"profile_id", "url"},
    "follows": {"follower_id", "followee_id"},
    "blocks": {"blocker_id", "blocked_id"},
    "live_streams": {"id", "streamer_id"},
    "chat_messages": {"stream_id", "sender_id", "body"},
    "video_boxes": {"id", "position", "streamer_id"},
    "box_viewers": {"box", "viewer_id"},
    "coin_packs": {"id", "coins", "usd"},
    "gift_types": {"id", "price"},
    "gifts": {"id", "sender_id", "recipient_id", "gift_type_id", "slot_index", "price"},
    "coin_purchases": {"id", "profile_id", "coins", "usd", "status"},
    "ledger_entries": {"profile_id", "amount"},
}
# Where there is one of these there is money, and somebody has it.
MONEY = ("gifts", "coin_purchases", "ledger_entries")
BALANCE = ("profiles", "coins")
# What stands for a column of these is what a system without it meant.
PLAIN = ("true", "false", "'web'", "'coins'")
# These two end with the move; everything else stays in the schema `previous`.
ENDING = ("video_boxes", "box_viewers")


@dataclass(frozen=True)
class Absent:
    """A column that is not there under any of its names."""

    table: str
    column: Column
    is_needed: bool

    @property
    def words(self) -> str:
        """The table and the names that it was looked for by."""
        first, *others = self.column.names
        return f"{self.table}.{first}" + (f" (or {', '.join(others)})" if others else "")


@dataclass(frozen=True)
class Found:
    """The tables in one schema: their columns, each with its type."""

    tables: dict[str, dict[str, str]]

    @property
    def is_previous(self) -> bool:
        """Whether this is the previous schema: what only that one has gives it away."""
        gifts = self.tables.get("gifts", {})
        return "profiles" in self.tables and (
            any(name in self.tables for name in ENDING)
            or "box_position" in gifts
            or bool({"coin_balance", "balance", "coins"} & self.tables["profiles"].keys())
        )

    @property
    def missing(self) -> list[str]:
        """Tables that the previous schema may have and this one has not, then columns."""
        tables = [name for name in SHAPES if name not in self.tables]
        return [*tables, *(absent.words for absent in self.absent)]

    @property
    def absent(self) -> list[Absent]:
        """Columns that are not there, of tables that are."""
        has_money = any(table in self.tables for table in MONEY)
        return [
            Absent(
                table,
                column,
                column.name in NEEDED[table] or (has_money and (table, column.name) == BALANCE),
            )
            for table, shape in SHAPES.items()
            for column in shape
            if table in self.tables
            and column.absent not in PLAIN
            and self.tables[table].keys().isdisjoint(column.names)
        ]

    def unread_of(self, table: str) -> list[str]:
        """Columns of a table that go by none of the names."""
        known = {name for column in SHAPES[table] for name in column.names}
        return sorted(self.tables[table].keys() - known)

    @property
    def unread(self) -> list[str]:
        """Tables that are moved along and not looked into."""
        return sorted(self.tables.keys() - SHAPES.keys())


async def find_tables(connection: Connection, schema: str) -> Found:
    """Return the tables of a schema; what extensions brought is none of ours."""
    rows = await connection.fetch(
        "SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p')"
        " AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM pg_depend AS d"
        " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
        schema,
    )
    tables: dict[str, dict[str, str]] = {}
    for row in rows:
        tables.setdefault(row["table"], {})[row["column"]] = row["type"]
    return Found(tables)


def views(found: Found) -> str:
    """Return the script that shows the old tables as `adopting.old_*`, under our names."""
    return "\n".join(_view(found, table, shape) for table, shape in SHAPES.items())


def _view(found: Found, table: str, shape: tuple[Column, ...]) -> str:
    columns = found.tables.get(table)
    if columns is None:
        empty = ", ".join(
            f"NULL::{kind} AS {name}" for column in shape for name, kind in _shown(column)
        )
        return f"CREATE VIEW {STAGE}.old_{table} AS SELECT {empty} WHERE false;"
    selected = ", ".join(
        f"{value} AS {name}"
        for column in shape
        for (name, _), value in zip(
            _shown(column), _expressions(table, column, columns), strict=True
        )
    )
    # Every word of it is from SHAPES.
    return f"CREATE VIEW {STAGE}.old_{table} AS SELECT {selected} FROM {KEPT}.{table} AS o;"  # noqa: S608


def _shown(column: Column) -> list[tuple[str, str]]:
    """Return the columns of the view that come of one, each with its type."""
    itself = (column.name, column.type)
    return [itself, ("is_undated", "boolean")] if column.type == "timestamptz" else [itself]


def _expressions(table: str, column: Column, columns: dict[str, str]) -> list[str]:
    name = next((name for name in column.names if name in columns), None)
    if column.type == "timestamptz":
        return ["now()", "false"] if name is None else _dated(f"o.{name}::timestamptz")
    if name is None:
        return [f"{column.absent}::{column.type}"]
    if column.type == "uuid" and columns[name] != "uuid":
        # People are who their tokens say; rows that nobody outside knows get an id made of theirs.
        if column.name != "id" or table == "profiles":
            raise MigrationError(
                f"{table}.{name} is {columns[name]}: only ids of type uuid can be adopted."
            )
        return [f"md5('{table} ' || o.{name}::text)::uuid"]
    value = f"o.{name}::{column.type}"
    return [value if column.absent == "NULL" else f"coalesce({value}, {column.absent})"]


def _dated(value: str) -> list[str]:
    """Return the date, or that of the move if it can not be one, and whether it can not.

    Infinity, and years of five digits, are dates to PostgreSQL and to nobody who reads them.
    """
    can_be = f"{value} BETWEEN '1970-01-01 00:00+00' AND now()"
    return [f"CASE WHEN {can_be} THEN {value} ELSE now() END", f"({can_be}) IS NOT TRUE"]
