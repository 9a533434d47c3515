"""One purchase in a terminal: which one is meant, and all that is known about it."""

import re
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import typer

from livewall.cli_calls import amount, dollars, moment
from livewall.money import PurchaseRecord

if TYPE_CHECKING:
    from livewall.db import Database


class Which(msgspec.Struct, frozen=True):
    """Which purchase: by the number on its receipt, or by its id."""

    number: int | None = None
    id: UUID | None = None


def _read_which(text: str) -> Which:
    if found := re.fullmatch(r"[Pp]-([0-9]{1,18})", text.strip()):
        return Which(number=int(found[1]))
    try:
        return Which(id=UUID(text.strip()))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a purchase: use one such as P-4.") from None


PurchaseId = Annotated[
    Which,
    typer.Argument(
        metavar="P-n", parser=_read_which, help="The purchase, as in P-4; its id is taken too."
    ),
]


async def look_up(database: "Database", which: Which) -> PurchaseRecord:
    """Return what is known about a purchase. Raises Refusal `not_found`."""
    from livewall.db import SERVICE
    from livewall.errors import Refusal

    found = await database.find(
        SERVICE, "get_purchase", PurchaseRecord, p_number=which.number, p_purchase_id=which.id
    )
    if found is None:
        name = which.id or f"P-{which.number}"
        raise Refusal("not_found", f"There is no purchase {name}.", "Check the buyer's receipt.")
    return found


def print_record(record: PurchaseRecord) -> None:
    """Print a purchase, a fact a line."""
    purchase = record.purchase
    facts = {
        "id": str(purchase.id),
        "buyer": record.buyer.name if record.buyer else "gone",
        "status": purchase.status,
        "held because": purchase.hold_reason,
        "decide by": moment(purchase.decide_by) if purchase.decide_by else None,
        "decided": f"{record.decision}, {moment(record.decided_at)}" if record.decision else None,
        "ordered": f"{purchase.coin_amount:,} coins for {dollars(purchase.usd_cents)}",
        "created": moment(purchase.created_at),
        "completed": moment(purchase.completed_at) if purchase.completed_at else None,
        "payment": f"{purchase.payment_provider} {purchase.provider_payment_id or '-'}",
        "authorized": amount(purchase.currency, purchase.authorized_cents),
        "captured": amount(purchase.currency, purchase.captured_cents),
        "credited": f"{purchase.paid_coins:,} coins",
        "refunded": amount(purchase.currency, purchase.refunded_cents),
        "disputed": amount(purchase.currency, purchase.disputed_cents),
        "taken back": f"{purchase.refunded_coins:,} coins",
    }
    print(f"P-{purchase.number}")
    for name, fact in facts.items():
        if fact:
            print(f"{name:13} {fact}")
    _print_follow_ups(record)


def _print_follow_ups(record: PurchaseRecord) -> None:
    currency = record.purchase.currency
    for kind, reported in (("refund", record.refunds), ("dispute", record.disputes)):
        for one in reported:
            print(f"{kind:13} {amount(one.currency, one.cents)} {one.status}, {one.id}")
    for call in record.calls:
        error = f": {call.error}" if call.error else ""
        at = moment(call.ordered_at)
        told = f"{call.call} of {amount(currency, call.cents)}, {at}, {call.status}{error}"
        print(f"{'order':13} {told}")
