"""S32, S33, S36 and S37: the limits of purchases, and who decides about large ones."""

import secrets
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from livewall.preflight.checks import (
    Result,
    Site,
    WrongError,
    check,
    failed,
    not_proven,
    passed,
)
from livewall.preflight.rehearsal import Rehearsal, rehearsal, rehearsal_as_server

MOST_WITHOUT_APPROVAL = Decimal(25_000)
MOST_A_MINUTE = 5
# With one the deputy is ill, and whoever is alone can decide about nothing that they buy.
FEWEST_APPROVERS = 2

# Whoever may decide and can get in: no guest, not banned, with a password where we keep them.
APPROVERS = """
SELECT p.name, p.id FROM public.profiles AS p
WHERE private.has_staff_role(p.id, 'finance', 'admin') AND NOT p.is_guest
    AND NOT private.is_banned(p.id)
    AND ($1 OR EXISTS (SELECT FROM private.credentials AS c WHERE c.profile_id = p.id))
ORDER BY p.name
"""
SELL = "INSERT INTO public.coin_packs VALUES ($1, 'web', 'Preflight', $3, $2)"
BUY = "SELECT public.create_coin_purchase($1, $2, 'web', 'preflight', $3)"
DECIDE = "SELECT public.decide_purchase($1, 'approve', 'preflight')"
CENT = Decimal("0.01")


async def _rules(rehearsed: Rehearsal) -> Any:
    row = await rehearsed.connection.fetchrow("SELECT * FROM private.money_settings")
    if row is None:
        raise WrongError("private.money_settings has no row: there is no rule at all")
    return row


@check(
    "S32",
    title="A purchase limit is configured",
    why="A stolen card or a slip of a finger is worth at most one purchase. Without a limit there "
    "is no most.",
    fix="livewall purchases settings limit_cents=5000000 --as NAME --reason WHY, where NAME is "
    "somebody with the role admin.",
)
async def purchase_limit(at: Site) -> Result:
    """Reads the limit that is set, and the one that new purchases are held to: what is raised
    applies a day later.
    """
    async with rehearsal(at) as rehearsed:
        limit: Decimal | None = (await _rules(rehearsed))["purchase_limit"]
        in_force: Decimal | None = await rehearsed.value(
            "SELECT (private.rules_in_force(private.clock())).purchase_limit"
        )
    if limit is None or in_force is None or in_force <= 0:
        return failed("no limit is set", limit=str(limit), in_force=str(in_force))
    return passed(
        f"one purchase can be up to ${limit:,}, ${in_force:,} are in force",
        limit=str(limit),
        in_force=str(in_force),
    )


@check(
    "S33",
    title="Purchases over $25,000 need approval, and somebody is there to give it",
    why="A large purchase credits nothing until a second person says yes. With nobody to say it "
    "the money goes back after five days; with one person only, nobody decides about theirs.",
    fix="Give the role to two people who have an account, `livewall user create NAME --role "
    "finance --password`, or, where accounts are kept elsewhere, as service_role `SELECT "
    "public.grant_staff_role(PROFILE_ID, 'finance')`. Leave the threshold at $25,000 or below: "
    "`livewall purchases settings threshold_cents=2500000 --as NAME --reason WHY`, where NAME is "
    "somebody with the role admin.",
)
async def approval_workflow(at: Site) -> Result:
    """Reads the threshold, finds everybody with the role finance or admin who can sign in and is
    not banned, and asks for the held purchases as each of them, with the server's role and
    theirs, as their page does.
    """
    async with rehearsal(at) as rehearsed:
        threshold: Decimal | None = (await _rules(rehearsed))["approval_threshold"]
        people = await rehearsed.connection.fetch(APPROVERS, bool(at.settings.jwks_url))
    if threshold is None or threshold > MOST_WITHOUT_APPROVAL:
        what = f"the threshold is ${threshold:,}" if threshold else "no threshold"
        return failed(what, threshold=str(threshold))
    able: list[str] = []
    async with rehearsal_as_server(at) as rehearsed:
        for person in people:
            await rehearsed.become(person["id"])
            if not await rehearsed.refusal("SELECT public.list_held_purchases()"):
                able.append(person["name"])
    facts = {"threshold": str(threshold), "approvers": able}
    if len(able) < FEWEST_APPROVERS:
        names = ", ".join(able) or "nobody"
        return failed(f"{FEWEST_APPROVERS} people have to be able to decide: {names} can", **facts)
    return passed(f"over ${threshold:,} one of {len(able)} decides: {', '.join(able)}", **facts)


async def _sell(rehearsed: Rehearsal, usd: Decimal) -> str:
    """Put a pack on sale that exists only here, so that no real one is locked."""
    pack = f"preflight_{secrets.token_hex(6)}"
    await rehearsed.connection.execute(SELL, pack, usd, 100)
    return pack


async def _buy(rehearsed: Rehearsal, buyer: UUID, pack: str) -> Any:
    await rehearsed.become("service_role")
    return await rehearsed.value(BUY, buyer, pack, str(uuid4()))


async def _is_refused(rehearsed: Rehearsal, code: str, statement: str, *arguments: object) -> None:
    """Expect a refusal. Raises WrongError naming what was let through."""
    said = await rehearsed.refusal(statement, *arguments)
    if said != code:
        raise WrongError(f"expected to be refused with {code}, got {said or 'no refusal'}")


@check(
    "S36",
    title="At most five purchases a minute",
    why="Whoever tries out stolen cards does it fast.",
    fix="livewall purchases settings velocity=5 --as NAME --reason WHY, where NAME is somebody "
    "with the role admin; if it is 5, see S29.",
)
async def velocity(at: Site) -> Result:
    """Somebody made up buys a made-up pack: as often as the setting says, all go through after
    five that are older than a minute, and one more is refused. Rolled back.
    """
    async with rehearsal(at) as rehearsed:
        most: int = (await _rules(rehearsed))["purchases_per_minute"]
        if most > MOST_A_MINUTE:
            return failed(f"{most} purchases a minute are allowed", velocity=most)
        buyer = await rehearsed.person()
        pack = await _sell(rehearsed, CENT)
        await rehearsed.connection.execute(
            "INSERT INTO public.coin_purchases (profile_id, coin_pack_id, platform,"
            " payment_provider, coin_amount, usd_amount, purchased_at)"
            " SELECT $1, $2, 'web', 'preflight', 100, 0.01, private.clock() - interval '61 s'"
            " FROM generate_series(1, $3)",
            buyer,
            pack,
            most,
        )
        for _ in range(most):
            await _buy(rehearsed, buyer, pack)
        await _is_refused(rehearsed, "LW071", BUY, buyer, pack, str(uuid4()))
    return passed(f"{most} went through, the next was refused (LW071)", velocity=most)


@check(
    "S37",
    title="The guardrails of large purchases hold",
    why="They are what stands between a mistake, or a thief, and a hundred thousand coins.",
    fix="See S29: a function or a setting differs from what it should be.",
)
async def guardrails(at: Site) -> Result:
    """Somebody made up buys: a cent over the limit is refused; a cent over the threshold is held
    and credits nothing; the buyer, who has the role, may not approve it; a second person may, and
    then it is ordered to be captured and still credits nothing. Rolled back, no money moves.
    """
    async with rehearsal(at) as rehearsed:
        rules = await rehearsed.connection.fetchrow(
            "SELECT * FROM private.rules_in_force(private.clock())"
        )
        if rules is None:
            raise WrongError("no rules are in force")
        limit: Decimal = rules["purchase_limit"]
        threshold: Decimal = rules["approval_threshold"]
        if limit <= threshold:
            return not_proven(
                "The limit is not over the threshold: no purchase can need approval.",
                "Raise the limit over the threshold, or read this as: nobody can buy that much.",
            )
        buyer, second = await rehearsed.person("finance"), await rehearsed.person("finance")
        over = await _sell(rehearsed, limit + CENT)
        await rehearsed.become("service_role")
        await _is_refused(rehearsed, "LW070", BUY, buyer, over, str(uuid4()))
        purchase = await _buy(rehearsed, buyer, await _sell(rehearsed, threshold + CENT))
        await _authorize(rehearsed, purchase)
        await _expect(rehearsed, purchase["id"], "held")
        await rehearsed.become(buyer)
        await _is_refused(rehearsed, "LW073", DECIDE, UUID(purchase["id"]))
        await rehearsed.become(second)
        await rehearsed.value(DECIDE, UUID(purchase["id"]))
        await _expect(rehearsed, purchase["id"], "approved")
    return passed(
        f"over ${limit:,} refused, over ${threshold:,} held until a second person approves",
        limit=str(limit),
        threshold=str(threshold),
    )


async def _authorize(rehearsed: Rehearsal, purchase: Any) -> None:
    """Have a payment of it reported, as a provider does when the bank sets money aside."""
    event, payment = f"evt_{uuid4().hex}", f"pay_{uuid4().hex}"
    await rehearsed.value(
        "SELECT public.receive_payment_event('preflight', $1, 'preflight', 'preflight', '{}',"
        " jsonb_build_array(jsonb_build_object('kind', 'authorized', 'payment_id', $2::text,"
        " 'purchase_id', $3::text, 'amount_cents', $4::bigint, 'currency', 'usd',"
        " 'at', private.clock())))",
        event,
        payment,
        purchase["id"],
        purchase["usd_cents"],
    )
    await rehearsed.value("SELECT public.process_payment_event('preflight', $1)", event)


async def _expect(rehearsed: Rehearsal, purchase_id: str, status: str) -> None:
    row = await rehearsed.connection.fetchrow(
        "SELECT status, posted_coins FROM public.coin_purchases WHERE id = $1", UUID(purchase_id)
    )
    assert row is not None  # noqa: S101 - it was just made
    if row["status"] != status or row["posted_coins"] != 0:
        raise WrongError(
            f"a purchase over the threshold is {row['status']} with {row['posted_coins']} coins, "
            f"not {status} with none"
        )
