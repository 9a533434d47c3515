"""`livewall purchases`: deciding about held ones, refunds, and the rules of money."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, TypeVar
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
)
from livewall.cli_purchase import PurchaseId, Which, look_up, print_record
from livewall.cli_tables import show, table
from livewall.money import (
    HeldPurchase,
    OrderedRefund,
    Purchase,
    PurchaseSettings,
)

if TYPE_CHECKING:
    from livewall.db import Caller, Database

app = typer.Typer(help="Purchases of coins that somebody has to look at.", no_args_is_help=True)


T = TypeVar("T")
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]
RULES = tuple(
    name
    for name in PurchaseSettings.__struct_fields__
    if name not in {"raises_apply_at", "in_force"}
)


@app.command()
def held(as_json: AsJson = False) -> None:
    """List purchases that wait for a decision, and until when.

    Until somebody decides, no coins are credited: the card is only authorized, or the money has
    arrived and waits. Coins are those that approving would give: none in a foreign currency, in
    which a purchase can only be rejected. Without a decision in time the money is given back.

    livewall purchases held
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
    columns = ("number", "buyer", "coins", "money", "decide by", "from", "before", "why")
    listed = table(*columns, whole=("number", "coins", "money", "decide by"))
    for item in waiting:
        purchase, history = item.purchase, item.history
        listed.add_row(
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


@app.command("show")
def show_one(which: PurchaseId, as_json: AsJson = False) -> None:
    """Show all that is known about one purchase: its money, refunds, disputes and orders.

    Orders are what the payment provider was told to do; failed ones say why.

    livewall purchases show P-4
    """

    record = ask(lambda database: look_up(database, which))
    if as_json:
        print_json(record)
    else:
        print_record(record)


@app.command()
def approve(which: PurchaseId, name: AsName, reason: Reason) -> None:
    """Approve a held purchase: its money is captured if it was not, and its coins are credited.

    NAME needs the role finance or admin and must not be the buyer:

    livewall purchases approve P-4 --as mia --reason "spoke to the buyer"
    """
    purchase = _decide(which, name, "approve", reason)
    if purchase.status == "approved":
        money = amount(purchase.currency, purchase.authorized_cents)
        print(
            f"P-{purchase.number} is approved: {money} is captured next, then coins are credited."
        )
        _say_who_acts()
    else:
        # What was refunded before credits nothing.
        coins = purchase.paid_coins - purchase.refunded_coins
        print(
            f"P-{purchase.number} is approved and {purchase.status}: {coins:,} coins are credited."
        )


@app.command()
def reject(which: PurchaseId, name: AsName, reason: Reason) -> None:
    """Reject a held purchase: nothing is credited, and the money is given back.

    livewall purchases reject P-4 --as mia --reason "card and address do not match"
    """
    purchase = _decide(which, name, "reject", reason)
    print(f"P-{purchase.number} is rejected: {_what_goes_back(purchase)}.")
    _say_who_acts()


def _what_goes_back(purchase: Purchase) -> str:
    """Return what is given back of a purchase that was rejected."""
    if purchase.captured_cents == 0:
        return "the card is let go"
    left = purchase.captured_cents - purchase.refunded_cents - purchase.disputed_cents
    if left <= 0:
        return "all of it is back with the buyer already"
    return f"{amount(purchase.currency, left)} goes back to the buyer"


def _decide(which: Which, name: str, decision: str, reason: str) -> Purchase:
    async def act(database: "Database", person: "Caller", purchase_id: UUID) -> Purchase:
        return await database.call(
            person,
            "decide_purchase",
            Purchase,
            p_purchase_id=purchase_id,
            p_decision=decision,
            p_reason=reason,
        )

    return _as_person(which, name, act)


@app.command()
def refund(
    which: PurchaseId,
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

    A refund of a part tells its key first: should no answer come, run it again with that key.

    livewall purchases refund P-4 --as mia --cents 1000 --reason "goodwill"
    """
    is_told, key = cents is not None and not key, key or str(uuid4())

    async def act(database: "Database", person: "Caller", purchase_id: UUID) -> OrderedRefund:
        if is_told:
            # Before it is ordered: whatever ends us then, another try is no second refund.
            again = f"--key {key}"
            print(f"If no answer comes, run it again with {again}", file=sys.stderr, flush=True)
        return await database.call(
            person,
            "refund_purchase",
            OrderedRefund,
            p_purchase_id=purchase_id,
            p_usd_cents=cents,
            p_reason=reason,
            p_idempotency_key=key,
        )

    ordered = _as_person(which, name, act)
    money = amount(ordered.currency, ordered.ordered_cents)
    print(f"A refund of {money} of P-{ordered.number} is ordered.")
    _say_who_acts()
    print(
        "Coins are taken back once the provider has refunded the money: "
        f"`livewall purchases show P-{ordered.number}`.",
        file=sys.stderr,
    )


def _as_person(
    which: Which, name: str, act: "Callable[[Database, Caller, UUID], Awaitable[T]]"
) -> T:
    async def question(database: "Database") -> T:
        person = await acting_as(database, name)
        purchase_id = which.id or (await look_up(database, which)).purchase.id
        return await act(database, person, purchase_id)

    return ask(question)


def _say_who_acts() -> None:
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
    """Show the rules as they are set and as they are in force, or change those you name.

    limit_cents: larger purchases are refused. threshold_cents: larger ones wait for approval.
    daily_threshold_cents: so does whatever exceeds this in 24 hours; none: no such rule.
    velocity: purchases of one person a minute. streamer_share_percent: the streamer's part of a
    gift, the platform gets the rest. A limit or threshold that is raised or removed applies 24
    hours later; whatever is lowered applies at once.

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
    listed = table("rule", "value", "", "in force", whole=("rule", "value", "in force"))
    for rule in RULES:
        value: int | None = getattr(rules, rule)
        in_force: int | None = getattr(rules.in_force, rule, value)
        in_dollars = dollars(value) if value is not None and rule.endswith("_cents") else ""
        listed.add_row(rule, _figure(value), in_dollars, _figure(in_force))
    show(listed)
    if rules.raises_apply_at is not None:
        print(
            f"What was raised applies from {moment(rules.raises_apply_at)}; until then purchases"
            " keep to the lowest of the last 24 hours, which is in force.",
            file=sys.stderr,
        )


def _figure(value: int | None) -> str:
    return "none" if value is None else str(value)
