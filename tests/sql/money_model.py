"""The rules of money once more, in plain Python: who has what after each fact and decision."""

from dataclasses import dataclass, field

DAY = 86_400
PACKS = {"coins_700": (700, 999), "coins_2275000": (2_275_000, 3_250_000)}
THRESHOLD = 2_500_000
GIFTS = {"rose": 10, "aurora": 500, "crown": 5000}
FINALITY = ["pending", "open", "succeeded", "lost", "won", "canceled", "failed"]

Claim = tuple[int, str, str]  # cents, status, currency
Money = tuple[int, str]  # cents, currency


@dataclass
class Person:
    """Somebody with money."""

    coins: int = 0
    debt: int = 0
    earnings: int = 0
    gone: bool = False

    def move(self, coins: int) -> None:
        """Give coins, debt first, or take them, what is spent as a debt."""
        if coins > 0:
            repaid = min(coins, self.debt)
            self.debt -= repaid
            self.coins += coins - repaid
        else:
            taken = min(-coins, self.coins)
            self.coins -= taken
            self.debt += -coins - taken


@dataclass
class Purchase:
    """One purchase by what is known of it."""

    buyer: int
    coins: int
    cents: int
    bought_at: int
    set_aside: list[Money] = field(default_factory=list[Money])
    came: list[Money] = field(default_factory=list[Money])
    there_since: int = 0
    for_nobody: bool = False
    decision: str | None = None
    canceled: bool = False
    refunds: dict[str, Claim] = field(default_factory=dict[str, Claim])
    disputes: dict[str, Claim] = field(default_factory=dict[str, Claim])
    posted: int = 0

    @property
    def captured(self) -> int:
        """Return the most that is said to have come."""
        return max((cents for cents, _ in self.came), default=0)

    @property
    def currency(self) -> str:
        """Return the currency of the most that came, or else of the most that was set aside."""
        money = self.came or self.set_aside
        return max(((cents, c != "usd", c) for cents, c in money), default=(0, False, "usd"))[2]

    @property
    def fits(self) -> bool:
        """Say whether the money is what was ordered, as far as there is any."""
        money = self.came or self.set_aside
        most = max((cents for cents, _ in money), default=self.cents)
        return most == self.cents and not self.is_foreign

    @property
    def is_foreign(self) -> bool:
        """Say whether the money that counts may be other than dollars."""
        return self.currency != "usd"

    @property
    def needs_decision(self) -> bool:
        """Say whether a person decides about it."""
        return self.cents > THRESHOLD or self.for_nobody or not self.fits

    @property
    def credited(self) -> bool:
        """Say whether the buyer gets coins for the money."""
        is_passed = not self.needs_decision or self.decision == "approve"
        return self.captured > 0 and not self.is_foreign and is_passed

    @property
    def refunded(self) -> int:
        """Return the cents that have gone back."""
        return sum(cents for cents, status in self._counted(self.refunds) if status == "succeeded")

    def _counted(self, claims: dict[str, Claim]) -> list[tuple[int, str]]:
        return [(cents, status) for cents, status, c in claims.values() if c == self.currency]

    @property
    def taken(self) -> int:
        """Return the cents that are gone again."""
        disputed = sum(cents for cents, status in self._counted(self.disputes) if status != "won")
        return min(self.captured, self.refunded + disputed)

    @property
    def paid_coins(self) -> int:
        """Return the coins for all the money that came."""
        if not self.credited:
            return 0
        return self.coins * min(self.captured, self.cents) // self.cents

    @property
    def due(self) -> int:
        """Return the coins for the money that came and stayed."""
        paid = self.paid_coins
        return paid - paid * self.taken // self.captured if paid else 0

    @property
    def status(self) -> str:
        """Return the status that follows from the facts."""
        if self.decision in ("reject", "expire"):
            return {"reject": "rejected", "expire": "expired"}[self.decision]
        if self.captured:
            return self._paid_status()
        if self.canceled:
            return "canceled"
        if self.decision == "approve":
            return "approved"
        return "held" if self.set_aside and self.needs_decision else "pending"

    def _paid_status(self) -> str:
        states = [status for _, status in self._counted(self.disputes)]
        if self.refunded >= self.captured:
            return "refunded"
        if "open" in states:
            return "disputed"
        if "lost" in states:
            return "dispute_lost"
        return "completed" if self.credited else "held"


@dataclass
class Model:
    """Everybody and everything bought."""

    people: list[Person]
    now: int = 0
    purchases: list[Purchase] = field(default_factory=list[Purchase])

    def settle(self, purchase: Purchase) -> None:
        """Give or take the difference to what is due."""
        self.people[purchase.buyer].move(purchase.due - purchase.posted)
        purchase.posted = purchase.due

    # -- buying

    def buy_refusal(self, buyer: int) -> str | None:
        """Return why somebody may not buy now."""
        if self.people[buyer].gone:
            return "LW004"
        recent = [p for p in self.purchases if p.buyer == buyer and p.bought_at > self.now - 60]
        return "LW071" if len(recent) >= 5 else None

    def buy(self, buyer: int, pack: str) -> None:
        """Create a purchase."""
        coins, cents = PACKS[pack]
        self.purchases.append(Purchase(buyer, coins, cents, self.now))

    def money(self, purchase: Purchase, money: Money, *, captured: bool) -> None:
        """Money is set aside, or comes."""
        if self.people[purchase.buyer].gone and not purchase.came:
            purchase.for_nobody = True
        known = (purchase.captured, purchase.is_foreign)
        if captured:
            purchase.came.append(money)
            if len(purchase.came) == 1 or known != (purchase.captured, purchase.is_foreign):
                purchase.there_since = self.now
        else:
            purchase.set_aside.append(money)
            if len(purchase.set_aside) == 1 and not purchase.came:
                purchase.there_since = self.now
        self.settle(purchase)

    def claim(self, claims: dict[str, Claim], name: str, claim: Claim) -> None:
        """A refund or dispute is reported; the more final report stands, then the greater."""
        claims[name] = max(
            claim, claims.get(name, claim), key=lambda c: (FINALITY.index(c[1]), c[0], c[2])
        )

    # -- decisions

    def is_late(self, purchase: Purchase) -> bool:
        """Say whether the time to decide is over."""
        return purchase.there_since + 5 * DAY < self.now

    def decide_refusal(self, purchase: Purchase, decision: str) -> str | None:
        """Return why nobody may decide so about it now."""
        if purchase.status != "held":
            return "LW072"
        if self.is_late(purchase):
            return "LW074"
        if decision == "approve" and self.people[purchase.buyer].gone:
            return "LW085"
        return "LW086" if decision == "approve" and purchase.is_foreign else None

    def decide(self, purchase: Purchase, decision: str) -> None:
        """Decide."""
        purchase.decision = decision
        self.settle(purchase)

    def expire(self) -> None:
        """Run the job."""
        for purchase in self.purchases:
            if purchase.status == "held" and self.is_late(purchase):
                self.decide(purchase, "expire")

    def forget(self, person: int) -> None:
        """Somebody deletes their account; what waits is given back."""
        self.people[person].gone = True
        for purchase in self.purchases:
            if purchase.buyer == person and purchase.status in ("held", "approved"):
                self.decide(purchase, "reject")

    # -- gifts

    def gift_refusal(self, sender: int, recipient: int, price: int) -> str | None:
        """Return why a gift is refused."""
        giver = self.people[sender]
        if giver.gone:
            return "LW001"
        if sender == recipient:
            return "LW082"
        if self.people[recipient].gone:
            return "LW004"
        if giver.debt > 0:
            return "LW081"
        return "LW080" if giver.coins < price else None

    def gift(self, sender: int, recipient: int, price: int) -> None:
        """Send a gift."""
        self.people[sender].coins -= price
        self.people[recipient].earnings += price * 70 // 100
