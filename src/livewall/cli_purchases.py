"""`livewall purchases`: deciding about held ones, refunds, and the limits in force."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

import typer

from livewall.cli_calls import (
    AsJson,
    AsName,
    acting_as,
    amount,
    ask,
    dollars,
    moment,
    print_json,
    show,
    table,
)
from livewall.money import HeldPurchase, Purchase, PurchaseSettings

if TYPE_CHECKING:
    from livewall.db import Caller, Database

app = typer.Typer(help="Purchases of coins that somebody has to look at.", no_args_is_help=True)
PurchaseId = Annotated[
    UUID, typer.Argument(metavar="ID", help="The purchase's id: `livewall purchases held`.")
]
Reason = Annotated[str, typer.Option(help="Why, for the audit log and the buyer.")]
RULES = PurchaseSettings.__struct_fields__


@app.command()
def held(as_json: AsJson = False) -> None:
    """List purchases that wait for a decision, and until when.

    Until somebody decides, no coins are credited: the card is only authorized, or the money has
    arrived and waits. Coins are those that approving would give: none in a foreign currency, in
    which a purchase can only be rejected. Without a decision in time the money is given back.
    """

    from livewall.db import SERVICE

    async def question(database: "Database") -> list[HeldPurchase]:
        return await database.call(SERVICE, "list_held_purchases", list[HeldPurchase])

    waiting = ask(question)
    if as_json:
        print_json(waiting)
    elif waiting:
        _print_held(waiting)
    else:
        print("Nothing waits.", file=sys.stderr)


def _print_held(waiting: list[HeldPurchase]) -> None:
    columns = ("id", "number", "buyer", "coins", "money", "decide by", "countries", "before")
    listed = table(*columns, "why")
    for item in waiting:
        purchase, history = item.purchase, item.history
        listed.add_row(
            str(purchase.id),
            f"P-{purchase.number}",
            item.buyer.name if item.buyer else "gone",
            f"{item.coins_if_approved:,}",
            _money(purchase),
            moment(purchase.decide_by),
            f"{item.country_code or '?'}, card {item.card_country or '?'}",
            f"{history.purchases} bought, {history.refunds} refunded, {history.disputes} disputed",
            purchase.hold_reason or "over the threshold",
        )
    show(listed)


def _money(purchase: Purchase) -> str:
    """Return what came, and what was asked for if that is something else."""
    state = "arrived" if purchase.captured_cents else "authorized"
    cents = purchase.captured_cents or purchase.authorized_cents
    came = f"{amount(purchase.currency, cents)} {state}"
    if purchase.currency == "usd":
        is_as_ordered = cents == purchase.usd_cents
    else:
        # What no order of ours began has no price in dollars.
        is_as_ordered = purchase.coin_pack_id is None
    return came if is_as_ordered else f"{came}, ordered for {dollars(purchase.usd_cents)}"


@app.command()
def approve(purchase_id: PurchaseId, name: AsName, reason: Reason) -> None:
    """Approve a held purchase: its money is captured if it was not, and its coins are credited.

    NAME needs the role finance or admin and must not be the buyer:

    livewall purchases approve 6f1c… --as mia --reason "spoke to the buyer"
    """
    _decide(purchase_id, name, "approve", reason)


@app.command()
def reject(purchase_id: PurchaseId, name: AsName, reason: Reason) -> None:
    """Reject a held purchase: nothing is credited, and the money is given back.

    livewall purchases reject 6f1c… --as mia --reason "card and address do not match"
    """
    _decide(purchase_id, name, "reject", reason)


def _decide(purchase_id: UUID, name: str, decision: str, reason: str) -> None:
    async def act(database: "Database", person: "Caller") -> Purchase:
        return await database.call(
            person,
            "decide_purchase",
            Purchase,
            p_purchase_id=purchase_id,
            p_decision=decision,
            p_reason=reason,
        )

    _report(_as_person(name, act))


@app.command()
def refund(
    purchase_id: PurchaseId,
    name: AsName,
    reason: Reason,
    cents: Annotated[
        int | None, typer.Option(min=1, help="How many US cents; by default all that is left.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Idempotency key: the same again refunds only once. Default: new.")
    ] = "",
) -> None:
    """Give money back for a purchase. Its coins go too, pro rata; spent ones become a debt.

    livewall purchases refund 6f1c… --as mia --cents 1000 --reason "goodwill"
    """

    if not key:
        key = str(uuid4())
        # Before anything is asked: should the answer be lost, only this key tells it from a second.
        print(f"If no answer comes, run it again with --key {key}.", file=sys.stderr)

    async def act(database: "Database", person: "Caller") -> Purchase:
        return await database.call(
            person,
            "refund_purchase",
            Purchase,
            p_purchase_id=purchase_id,
            p_usd_cents=cents,
            p_reason=reason,
            p_idempotency_key=key,
        )

    _report(_as_person(name, act))


def _as_person(name: str, act: "Callable[[Database, Caller], Awaitable[Purchase]]") -> Purchase:
    async def question(database: "Database") -> Purchase:
        return await act(database, await acting_as(database, name))

    return ask(question)


def _report(purchase: Purchase) -> None:
    print(f"P-{purchase.number} is {purchase.status}.")
    print(
        "A running server or `livewall worker` tells the payment provider within a second.",
        file=sys.stderr,
    )


@app.command()
def settings(
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[RULE=VALUE]...", help="What to change.")
    ] = None,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who changes it: an admin's account.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the rules in force, or change those you name.

    limit_cents: larger purchases are refused. threshold_cents: larger ones wait for approval.
    daily_threshold_cents: so does whatever exceeds this in 24 hours; none: no such rule.
    velocity: purchases of one person a minute. streamer_share_percent: the streamer's part of a
    gift, the platform gets the rest.

    livewall purchases settings daily_threshold_cents=5000000 --as ada --reason "five at once"
    """
    from livewall.settings import SettingsError

    wished = dict(_read_change(change) for change in changes or [])
    if wished and not name:
        raise SettingsError("A change needs --as NAME: the audit log keeps who made it.")
    _print_settings(ask(lambda database: _apply(database, name, wished, reason)), as_json=as_json)


def _read_change(change: str) -> tuple[str, int | None]:
    from livewall.settings import SettingsError

    rule, _, text = change.partition("=")
    if rule not in RULES:
        raise SettingsError(f"{rule!r} is no rule: use {', '.join(RULES)}.")
    if rule == "daily_threshold_cents" and text == "none":
        return rule, None
    if not text.isascii() or not text.isdigit():
        raise SettingsError(f"{change!r} does not fit: use {rule}=WHOLE_NUMBER.")
    return rule, int(text)


async def _apply(
    database: "Database", name: str, changes: Mapping[str, int | None], reason: str
) -> PurchaseSettings:
    from livewall.db import SERVICE

    if not changes:
        return await database.call(SERVICE, "get_purchase_settings", PurchaseSettings)
    person = await acting_as(database, name)
    return await database.call(
        person, "configure_purchases", PurchaseSettings, p_changes={**changes}, p_reason=reason
    )


def _print_settings(rules: PurchaseSettings, *, as_json: bool) -> None:
    if as_json:
        print_json(rules)
        return
    listed = table("rule", "value", "")
    for rule in RULES:
        value: int | None = getattr(rules, rule)
        in_dollars = dollars(value) if value is not None and rule.endswith("_cents") else ""
        listed.add_row(rule, "none" if value is None else str(value), in_dollars)
    show(listed)
