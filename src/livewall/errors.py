"""Every error a client can meet, in one catalogue: code -> HTTP status, title, SQLSTATE, next step.

SQL raises the codes of class LW, Python raises `Refusal`; HTTP and the socket answer both with the
same `Problem`. `python -m livewall.errors` prints docs/errors.md, and a test compares them.
"""

from dataclasses import dataclass
from typing import cast

import asyncpg
import msgspec

DOCUMENTATION = "https://livewall.dev/problems/"


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue; `sqlstate` is None where only Python raises the code."""

    status: int
    title: str
    sqlstate: str | None = None
    hint: str = ""


CATALOGUE: dict[str, Entry] = {
    "not_signed_in": Entry(401, "Not signed in", "LW001", "Sign in or continue as a guest."),
    "banned": Entry(403, "Banned", "LW002", "Write to the operator if this is a mistake."),
    "not_allowed": Entry(403, "Not allowed", "LW003", "Ask somebody who may."),
    "not_found": Entry(404, "Not found", "LW004", "Check the address."),
    "invalid_argument": Entry(422, "Invalid argument", "LW005", "Correct it and send it again."),
    "unknown_argument": Entry(422, "Unknown argument", "LW006", "Check the names."),
    "isolation_refused": Entry(409, "Isolation level refused", "LW007", "Use READ COMMITTED."),
    "name_invalid": Entry(422, "Name can not be used", "LW010", "Choose another name."),
    "name_taken": Entry(409, "Name is taken", "LW011", "Choose another name."),
    "link_refused": Entry(422, "Link refused", "LW012", "Use an http or https address."),
    "too_many_links": Entry(422, "Too many links", "LW013", "Remove a link first."),
    "already_an_account": Entry(409, "Already an account", "LW014", "Sign out first."),
    "session_closed": Entry(401, "Session has ended", "LW015", "Sign in again."),
    "profile_text_refused": Entry(422, "Profile text refused", "LW016", "Shorten the text."),
    "accounts_elsewhere": Entry(409, "Accounts are kept elsewhere", "LW017", "Sign in there."),
    "identity_mismatch": Entry(403, "Somebody else's name", "LW020", "Act for yourself only."),
    "stream_not_live": Entry(409, "Stream is not live", "LW021", "Wait until it is live."),
    "blocked": Entry(403, "Blocked", "LW022", "One of you has blocked the other."),
    "too_many_tiles": Entry(422, "Too many tiles", "LW023", "Remove a tile first."),
    "too_many_active": Entry(422, "Too many active tiles", "LW024", "Make a tile a preview first."),
    "too_many_sessions": Entry(429, "Too many sessions", "LW025", "Close another tab first."),
    "publisher_elsewhere": Entry(409, "Live in another tab", "LW030", "Take over, or stop there."),
    "too_many_starts": Entry(429, "Too many starts", "LW031", "Wait a moment, then go live."),
    "guests_may_not_go_live": Entry(403, "Guests only watch", "LW032", "Create an account first."),
    "not_live": Entry(409, "You are not live", "LW033", "Go live first."),
    "slot_invalid": Entry(422, "Slot is not valid", "LW040", "Use slots 1 to 12, each once."),
    "streamer_twice_on_wall": Entry(422, "Already on the wall", "LW041", "Move the other tile."),
    "chat_empty": Entry(422, "Nothing to send", "LW050", "Write something."),
    "chat_too_long": Entry(422, "Message too long", "LW051", "Use up to 500 characters."),
    "rate_limited": Entry(429, "Too fast", "LW052", "Wait a moment, then try again."),
    "slow_mode": Entry(429, "Slow mode", "LW053", "Wait for your turn."),
    "muted_in_chat": Entry(403, "Muted in this chat", "LW054", "Wait until the mute ends."),
    "message_type_refused": Entry(403, "Message type refused", "LW055", "Send text."),
    "preview_refused": Entry(422, "Preview refused", "LW060", "Send a JPEG up to 320x180."),
    "purchase_over_limit": Entry(422, "Purchase over the limit", "LW070", "Choose a smaller pack."),
    "too_many_purchases": Entry(429, "Too many purchases", "LW071", "Wait a moment, then buy."),
    "not_held": Entry(409, "Purchase is not held", "LW072", "Look at it again."),
    "own_purchase": Entry(403, "Your own purchase", "LW073", "Somebody else decides about it."),
    "decision_too_late": Entry(409, "Too late to decide", "LW074", "The buyer can buy again."),
    "idempotency_conflict": Entry(409, "Key used before", "LW075", "Use a new idempotency key."),
    "event_conflict": Entry(409, "Reported differently before", "LW076", "Compare both reports."),
    "reason_needed": Entry(422, "A reason is needed", "LW077", "Write why."),
    "amount_invalid": Entry(422, "Amount is not valid", "LW078", "Use whole coins and cents."),
    "guests_may_not_buy": Entry(403, "Guests can not buy", "LW079", "Create an account first."),
    "not_enough_coins": Entry(409, "Not enough coins", "LW080", "Buy coins first."),
    "spending_frozen": Entry(403, "Spending is frozen", "LW081", "Repay the debt by buying coins."),
    "gift_to_oneself": Entry(422, "Gift to oneself", "LW082", "Choose another streamer."),
    "refund_refused": Entry(422, "Refund refused", "LW083", "Look at what is left of it."),
    "transition_refused": Entry(409, "Purchase has moved on", "LW084", "Look at it again."),
    "buyer_gone": Entry(409, "Buyer has left", "LW085", "Reject it: the money goes back."),
    "foreign_currency": Entry(409, "Not in dollars", "LW086", "Reject it: the money goes back."),
    "setting_out_of_range": Entry(
        422, "Setting out of range", "LW087", "Use a number in its range."
    ),
    "ledger_is_append_only": Entry(403, "Only added to", "LW090", "Post a correction instead."),
    "ledger_unbalanced": Entry(422, "Entries do not balance", "LW091", "Post every side at once."),
    "invalid_message": Entry(400, "Message not understood", None, "See docs/protocol.md."),
    "invalid_token": Entry(401, "Token not valid", None, "Sign in again."),
    "wrong_password": Entry(401, "Name or password is wrong", None, "Check both and try again."),
    "csrf": Entry(403, "Request could be forged", None, "Send the X-CSRF-Token header."),
    "foreign_origin": Entry(403, "Foreign origin", None, "Call from the site's own pages."),
    "foreign_host": Entry(421, "Foreign host", None, "Use the site's own address."),
    "method_not_allowed": Entry(405, "Method not allowed", None, "See /docs for what it takes."),
    "replaced": Entry(409, "Replaced", None, "Take a new session id."),
    "too_large": Entry(413, "Too large", None, "Send less at once."),
    "unsupported_media_type": Entry(415, "Unsupported media type", None, "See /docs."),
    "too_many_sockets": Entry(429, "Too many sockets", None, "Close another tab first."),
    "too_slow": Entry(408, "Too slow", None, "Send it in one go."),
    "no_hello": Entry(408, "No hello in time", None, "Send hello first, within 10 seconds."),
    "bad_signature": Entry(400, "Signature not valid", None, "Check the secret and the clock."),
    "sandbox_only": Entry(404, "Sandbox only", None, "Use the sandbox provider, in development."),
    "provider_refused": Entry(502, "Payment provider refused", None, "Try another way to pay."),
    "provider_away": Entry(503, "Payment provider is away", None, "Try again in a few seconds."),
    "payments_off": Entry(503, "Nothing can be bought here", None, "Ask the operator."),
    "internal": Entry(500, "Something broke here", None, "Try again; tell the operator the id."),
    "busy": Entry(503, "Too busy", None, "Try again in a few seconds."),
    "database_away": Entry(503, "Database is away", None, "Try again in a few seconds."),
    "starting": Entry(503, "Not ready yet", None, "Try again in a few seconds."),
    "ending": Entry(503, "About to end", None, "Ask another server, or again in a few seconds."),
}

BY_SQLSTATE = {entry.sqlstate: code for code, entry in CATALOGUE.items() if entry.sqlstate}

# Constraints state rules; whoever breaks one directly hears the same code as through a function.
BY_CONSTRAINT: dict[str, str] = {
    # A token that outlived its account at an outside sign-in service.
    "profiles_are_users": "invalid_token",
    "profiles_name_unlike_others": "name_taken",
    "profiles_name_unique": "name_taken",
    "profiles_name_well_formed": "name_invalid",
    "profiles_display_name_length": "profile_text_refused",
    "profiles_bio_length": "profile_text_refused",
    "user_links_at_most_ten": "too_many_links",
    "user_links_one_per_position": "too_many_links",
    "user_links_label_length": "link_refused",
    "user_links_label_clean": "link_refused",
    "user_links_url_is_web": "link_refused",
    "follows_not_oneself": "invalid_argument",
    "blocks_not_oneself": "invalid_argument",
    "live_streams_title_length": "invalid_argument",
    "live_streams_slow_mode_range": "invalid_argument",
    "user_grid_slots_one_per_index": "slot_invalid",
    "user_grid_slots_index_1_to_12": "slot_invalid",
    "user_grid_slots_volume_range": "slot_invalid",
    "user_grid_slots_of_streamer": "slot_invalid",
    "user_grid_slots_streamer_once": "streamer_twice_on_wall",
    "chat_messages_body_length": "chat_too_long",
    "chat_messages_deleted_is_empty": "chat_empty",
    "chat_messages_of_stream": "not_found",
    "chat_mutes_in_stream": "not_found",
    "chat_reports_of_message": "not_found",
    "chat_reports_reason_length": "invalid_argument",
    "coin_purchases_once_per_payment": "event_conflict",
    "coin_purchases_once_per_event": "event_conflict",
    "coin_purchases_idempotent": "idempotency_conflict",
    "coin_purchases_platform_known": "invalid_argument",
    "coin_purchases_country_is_iso": "invalid_argument",
    "coin_purchases_provider_well_formed": "invalid_argument",
    "money_settings_limit_positive": "invalid_argument",
    "money_settings_threshold_not_negative": "invalid_argument",
    "money_settings_daily_threshold_not_negative": "invalid_argument",
    "money_settings_velocity_positive": "invalid_argument",
    "money_settings_share_is_a_percentage": "invalid_argument",
    "ledger_accounts_balance_not_negative": "not_enough_coins",
    "gifts_not_to_oneself": "gift_to_oneself",
    "gifts_slot_1_to_12": "slot_invalid",
    "bans_reason_length": "invalid_argument",
    "staff_roles_known": "invalid_argument",
    "staff_roles_of_profile": "not_found",
    "previews_small": "preview_refused",
}

# What such a rule says where the title of its code leaves open what is wrong.
RULES: dict[str, str] = {
    "live_streams_title_length": "A title has up to 80 characters.",
    "user_links_label_length": "The words of a link have 1 to 40 characters.",
    "user_links_url_is_web": "A link starts with http:// or https:// and has up to 300 characters.",
    "chat_reports_reason_length": "A reason has 1 to 500 characters.",
    "bans_reason_length": "A reason has 1 to 500 characters.",
}

# Whole classes of SQLSTATE that only what the caller sent can cause.
BY_CLASS = {"22": "invalid_argument", "23": "invalid_argument", "42501": "not_allowed"}


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An error as clients read it (RFC 9457); branch on `code`, never on text."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    hint: str = ""
    fields: dict[str, object] = {}
    request_id: str = ""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """What the caller asked for is refused, with a code of the catalogue."""

    def __init__(
        self, code: str, detail: str = "", hint: str = "", fields: dict[str, object] | None = None
    ) -> None:
        self.code = code
        self.entry = CATALOGUE[code]
        self.detail = detail or f"{self.entry.title}."
        self.hint = hint or self.entry.hint
        self.fields: dict[str, object] = fields or {}
        super().__init__(f"{code}: {self.detail}")

    @property
    def retry_after(self) -> int | None:
        """Seconds after which another try makes sense, if waiting helps at all."""
        wait = self.fields.get("retry_after")
        if isinstance(wait, int | float):
            return max(1, round(wait))
        return 2 if self.entry.status in {429, 503} else None

    def problem(self, request_id: str = "") -> Problem:
        """Return the object that clients read."""
        return Problem(
            type=DOCUMENTATION + self.code,
            title=self.entry.title,
            status=self.entry.status,
            code=self.code,
            detail=self.detail,
            hint=self.hint,
            fields=self.fields,
            request_id=request_id,
        )


def from_postgres(error: asyncpg.PostgresError) -> Refusal:
    """Translate the database's error: own codes, named constraints, bad values; else internal."""
    sqlstate = error.sqlstate or ""
    if sqlstate in BY_SQLSTATE:
        return Refusal(
            BY_SQLSTATE[sqlstate], text_of(error, "message"), text_of(error, "hint"), _fields(error)
        )
    constraint = text_of(error, "constraint_name")
    if constraint in RULES:
        return Refusal(
            BY_CONSTRAINT[constraint], RULES[constraint], "Correct it and send it again."
        )
    if constraint in BY_CONSTRAINT:
        return Refusal(BY_CONSTRAINT[constraint])
    for prefix, code in BY_CLASS.items():
        if sqlstate.startswith(prefix):
            return Refusal(code)
    return Refusal("internal")


def text_of(error: asyncpg.PostgresError, name: str) -> str:
    """Return one field of what PostgreSQL reported, such as `message`; empty if it is absent."""
    value = cast("object", getattr(error, name, None))
    return value if isinstance(value, str) else ""


def _fields(error: asyncpg.PostgresError) -> dict[str, object]:
    try:
        return msgspec.json.decode(text_of(error, "detail") or "{}", type=dict[str, object])
    except msgspec.DecodeError:
        return {}


def document() -> str:
    """Return docs/errors.md."""
    lines = [
        "# Errors",
        "",
        "Written by `python -m livewall.errors` from the catalogue in `src/livewall/errors.py`.",
        'HTTP answers a problem as `application/problem+json`, the socket in `{"type": "error"}`.',
        "Branch on `code`, never on text. 429 and 503 carry `Retry-After`.",
        "",
        "| code | status | SQLSTATE | meaning | next step |",
        "| --- | --- | --- | --- | --- |",
    ]
    for code, entry in CATALOGUE.items():
        state = entry.sqlstate or ""
        lines.append(f"| `{code}` | {entry.status} | {state} | {entry.title} | {entry.hint} |")
    lines += ["", "A constraint that states a rule answers with the code of that rule:", ""]
    lines += ["| constraint | code |", "| --- | --- |"]
    lines += [f"| `{name}` | `{code}` |" for name, code in sorted(BY_CONSTRAINT.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(document(), end="")
