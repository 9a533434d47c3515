"""Buying coins: packs, purchases and receipts, and what the staff decides about held ones."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from livewall.db import SERVICE
from livewall.errors import Refusal
from livewall.money import HeldPurchase, Purchase, PurchaseSettings
from livewall.payments import Checkout, Intent, PaymentProvider
from livewall.routing import (
    Anybody,
    AnyRequest,
    BeforeId,
    PageSize,
    SignedInCaller,
    TheServer,
    TheVisit,
    problems,
)
from livewall.server import Server
from livewall.shapes import IdempotencyKey, ShortText

# While it is one of these the buyer has something to do at the provider.
PAYABLE = frozenset({"created", "pending", "failed"})
USER_AGENT_LENGTH = 500
MostCents = Annotated[int, Meta(ge=0, le=10**12)]
# The database knows each setting's range and says it.
Setting = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class CoinPack(msgspec.Struct, frozen=True):
    """Coins to buy, at the price of one platform; a very large one waits for a second person."""

    id: str
    title: str
    coins: int
    usd_cents: int
    platform: str
    requires_approval: bool


class CoinPacks(msgspec.Struct):
    """Everything there is to buy."""

    packs: list[CoinPack]


class NewPurchase(msgspec.Struct, forbid_unknown_fields=True):
    """Which pack; coins and price are the catalogue's."""

    pack_id: Annotated[str, Meta(max_length=100)]
    idempotency_key: IdempotencyKey


class StartedPurchase(msgspec.Struct):
    """A purchase, and how to pay it.

    Without a checkout nothing is left to pay, or, while it is unpaid all the same, it was begun
    with a provider that is not this site's any more.
    """

    purchase: Purchase
    checkout: Checkout | None


class PurchasePage(msgspec.Struct):
    """A page of purchases, newest first; `next` is the `before` of the page after."""

    purchases: list[Purchase]
    next: int | None


class HeldPurchases(msgspec.Struct):
    """Everything that waits for a decision, the most urgent first."""

    purchases: list[HeldPurchase]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of a held purchase, and why."""

    decision: Literal["approve", "reject"]
    reason: ShortText


class NewRefund(msgspec.Struct, forbid_unknown_fields=True):
    """How much to give back, null for all that is left, and why."""

    reason: ShortText
    idempotency_key: IdempotencyKey
    usd_cents: MostCents | None = None


class SettingsChange(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to change, and why; absent means unchanged, null as daily threshold means none."""

    reason: ShortText
    limit_cents: Setting | UnsetType = UNSET
    threshold_cents: Setting | UnsetType = UNSET
    velocity: Setting | UnsetType = UNSET
    daily_threshold_cents: Setting | UnsetType | None = UNSET
    streamer_share_percent: Setting | UnsetType = UNSET


@get("/api/coin-packs", responses=problems())
async def list_coin_packs(caller: Anybody, server: TheServer) -> CoinPacks:
    """What there is to buy."""
    return CoinPacks(await server.database.call(caller, "list_coin_packs", list[CoinPack]))


@post(
    "/api/purchases",
    responses=problems(
        "not_signed_in",
        "not_found",
        "guests_may_not_buy",
        "purchase_over_limit",
        "too_many_purchases",
        "idempotency_conflict",
        "event_conflict",
        "invalid_argument",
        "payments_off",
        "provider_away",
        "provider_refused",
    ),
)
async def create_purchase(
    data: JSONBody[NewPurchase],
    person: SignedInCaller,
    visit: TheVisit,
    request: AnyRequest,
    server: TheServer,
) -> StartedPurchase:
    """Buy coins. The same key again answers the same purchase and how to pay it."""
    provider = server.provider
    if provider is None:
        raise Refusal("payments_off")
    server.limiters.purchases.check(str(person.profile_id))
    purchase = await server.database.call(
        SERVICE,
        "create_coin_purchase",
        Purchase,
        p_profile_id=person.profile_id,
        p_coin_pack_id=data.pack_id,
        p_platform="web",
        p_payment_provider=provider.name,
        p_idempotency_key=data.idempotency_key,
        p_ip_address=visit.ip_address,
        p_country_code=visit.country_code,
        p_user_agent=request.headers.get("user-agent", "")[:USER_AGENT_LENGTH] or None,
    )
    return await _begin_payment(server, provider, purchase)


async def _begin_payment(
    server: Server, provider: PaymentProvider, purchase: Purchase
) -> StartedPurchase:
    """Ask the provider for a payment and note it. The purchase is committed, so whatever breaks
    here, the same key may simply be sent again: its id is the provider's idempotency key.
    """
    if purchase.status not in PAYABLE or purchase.payment_provider != provider.name:
        return StartedPurchase(purchase, None)
    started = await provider.create(
        Intent(
            purchase_id=purchase.id,
            number=purchase.number,
            usd_cents=purchase.usd_cents,
            capture="manual" if purchase.requires_approval else "automatic",
            idempotency_key=str(purchase.id),
            payment_id=purchase.provider_payment_id,
        )
    )
    attached = await server.database.call(
        SERVICE,
        "attach_payment",
        Purchase,
        p_purchase_id=purchase.id,
        p_provider_payment_id=started.payment_id,
    )
    return StartedPurchase(attached, started.checkout if attached.status in PAYABLE else None)


@get("/api/purchases", responses=problems("not_signed_in"))
async def list_purchases(
    person: SignedInCaller, server: TheServer, before: BeforeId = None, limit: PageSize = 50
) -> PurchasePage:
    """One's own purchases."""
    return await server.database.call(
        person, "list_my_purchases", PurchasePage, p_before=before, p_limit=limit
    )


@get("/api/purchases/{purchase_id:uuid}", responses=problems("not_signed_in", "not_found"))
async def get_purchase(
    purchase_id: FromPath[UUID], person: SignedInCaller, server: TheServer
) -> Purchase:
    """A receipt of one's own."""
    return await server.database.call(
        person, "get_my_purchase", Purchase, p_purchase_id=purchase_id
    )


@post(
    "/api/purchases/{purchase_id:uuid}/payment",
    status_code=200,
    responses=problems(
        "not_signed_in",
        "not_found",
        "event_conflict",
        "payments_off",
        "provider_away",
        "provider_refused",
    ),
)
async def pay_purchase(
    purchase_id: FromPath[UUID], person: SignedInCaller, server: TheServer
) -> StartedPurchase:
    """How to pay a purchase of one's own, from wherever one is; always the same payment."""
    provider = server.provider
    if provider is None:
        raise Refusal("payments_off")
    server.limiters.purchases.check(str(person.profile_id))
    purchase = await server.database.call(
        person, "get_my_purchase", Purchase, p_purchase_id=purchase_id
    )
    return await _begin_payment(server, provider, purchase)


@post(
    "/api/purchases/{purchase_id:uuid}/cancel",
    status_code=200,
    responses=problems("not_signed_in", "not_found", "transition_refused"),
)
async def cancel_purchase(
    purchase_id: FromPath[UUID], person: SignedInCaller, server: TheServer
) -> Purchase:
    """Give up a purchase of one's own before it is paid; the provider has the last word."""
    purchase = await server.database.call(
        person, "cancel_my_purchase", Purchase, p_purchase_id=purchase_id
    )
    server.settlement.soon()
    return purchase


@get("/api/admin/purchases/held", responses=problems("not_signed_in", "not_allowed"))
async def list_held(person: SignedInCaller, server: TheServer) -> HeldPurchases:
    """Purchases that wait for a decision. Finance and admins only."""
    held = await server.database.call(person, "list_held_purchases", list[HeldPurchase])
    return HeldPurchases(held)


@post(
    "/api/admin/purchases/{purchase_id:uuid}/decision",
    status_code=200,
    responses=problems(
        "not_signed_in",
        "not_allowed",
        "not_found",
        "not_held",
        "own_purchase",
        "decision_too_late",
        "buyer_gone",
        "foreign_currency",
        "reason_needed",
    ),
)
async def decide(
    purchase_id: FromPath[UUID],
    data: JSONBody[Decision],
    person: SignedInCaller,
    server: TheServer,
) -> Purchase:
    """Approve or reject a held purchase. Finance and admins only, and never one's own."""
    purchase = await server.database.call(
        person,
        "decide_purchase",
        Purchase,
        p_purchase_id=purchase_id,
        p_decision=data.decision,
        p_reason=data.reason,
    )
    server.settlement.soon()
    return purchase


@post(
    "/api/admin/purchases/{purchase_id:uuid}/refunds",
    responses=problems(
        "not_signed_in",
        "not_allowed",
        "not_found",
        "own_purchase",
        "reason_needed",
        "amount_invalid",
        "refund_refused",
        "idempotency_conflict",
        "invalid_argument",
    ),
)
async def refund(
    purchase_id: FromPath[UUID],
    data: JSONBody[NewRefund],
    person: SignedInCaller,
    server: TheServer,
) -> Purchase:
    """Give money back, all of it or a part. Finance and admins only."""
    purchase = await server.database.call(
        person,
        "refund_purchase",
        Purchase,
        p_purchase_id=purchase_id,
        p_usd_cents=data.usd_cents,
        p_reason=data.reason,
        p_idempotency_key=data.idempotency_key,
    )
    server.settlement.soon()
    return purchase


@get("/api/admin/purchase-settings", responses=problems("not_signed_in", "not_allowed"))
async def get_settings(person: SignedInCaller, server: TheServer) -> PurchaseSettings:
    """Limits and thresholds. Finance and admins only."""
    return await server.database.call(person, "get_purchase_settings", PurchaseSettings)


@put(
    "/api/admin/purchase-settings",
    responses=problems(
        "not_signed_in",
        "not_allowed",
        "reason_needed",
        "setting_out_of_range",
        "invalid_argument",
    ),
)
async def change_settings(
    data: JSONBody[SettingsChange], person: SignedInCaller, server: TheServer
) -> PurchaseSettings:
    """Change limits and thresholds; the audit log keeps who and why. Admins only."""
    changes: dict[str, object] = msgspec.to_builtins(data)
    reason = changes.pop("reason", "")
    return await server.database.call(
        person, "configure_purchases", PurchaseSettings, p_changes=changes, p_reason=str(reason)
    )


ROUTES = [
    list_coin_packs,
    create_purchase,
    list_purchases,
    get_purchase,
    pay_purchase,
    cancel_purchase,
    list_held,
    decide,
    refund,
    get_settings,
    change_settings,
]
