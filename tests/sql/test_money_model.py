"""Random histories of buyers, banks, staff and streamers against the rules in `money_model`.

A quick profile runs by default; HYPOTHESIS_PROFILE=deep runs many more and longer histories.
"""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from tests.databases import Cluster
from tests.sql.histories import DEEP, run_histories
from tests.sql.money import authorized, captured, dispute, fact, refund, verify
from tests.sql.money_history import PEOPLE, History, Stage
from tests.sql.money_model import DAY, GIFTS, PACKS, Purchase

# Examples, and steps of each.
SIZE = (800, 80) if DEEP else (40, 40)

people = st.integers(0, PEOPLE - 1)
numbers = st.integers(0, 1000)
packs = st.sampled_from([*PACKS, "coins_700", "coins_700"])
refund_states = st.sampled_from(["pending", "succeeded", "succeeded", "failed"])
endings = st.sampled_from(["buy", "buy", "won", "lost", ""])
parts = st.sampled_from([1, 1, 1, 1 / 3, 1 / 2, 3 / 2])
currencies = st.sampled_from(["usd", "usd", "usd", "eur"])


class MoneyMachine(RuleBasedStateMachine):
    """One random history; every rule ends by comparing everything."""

    def __init__(self, stage: Stage) -> None:
        """Start from nothing."""
        super().__init__()
        self.history = History(stage)
        self.model, self.stage = self.history.model, stage
        self.gifts: list[dict[str, Any]] = []

    def has_bought(self) -> bool:
        """Say whether there is a purchase to act on."""
        return bool(self.model.purchases)

    def pick(self, number: int) -> tuple[Purchase, str, int]:
        """Return one of the purchases, its payment and its number."""
        number %= len(self.model.purchases)
        return self.model.purchases[number], self.history.payment(number), number

    # -- buying and paying

    @initialize(buyer=people, pack=packs, then=endings)
    def begin(self, buyer: int, pack: str, then: str) -> None:
        """Somebody has bought, and somebody has owed, from the start."""
        self.buy(buyer, pack)
        self.money(0, "captured", 1, "usd")
        self.spend_and_dispute(buyer, then)

    @rule(buyer=people, pack=packs)
    def buy(self, buyer: int, pack: str) -> None:
        """Create a purchase with its payment; its key with other content is refused."""
        expected = self.model.buy_refusal(buyer) or ""
        content: dict[str, object] = {
            "p_profile_id": self.history.people[buyer].id,
            "p_coin_pack_id": pack,
            "p_platform": "web",
            "p_payment_provider": "sandbox",
            "p_idempotency_key": self.history.key(),
        }
        made, code = self.history.attempt("service_role", "create_coin_purchase", **content)
        assert code == expected
        if code:
            return
        self.model.buy(buyer, pack)
        self.history.ids.append(made["id"])
        self.history.service(
            "attach_payment",
            p_purchase_id=made["id"],
            p_provider_payment_id=self.history.payment(len(self.history.ids) - 1),
        )
        other = content | {"p_coin_pack_id": "coins_70"}
        assert self.history.attempt("service_role", "create_coin_purchase", **other)[1] == "LW075"
        self.history.look()

    @precondition(has_bought)
    @rule(
        number=numbers,
        kind=st.sampled_from(["authorized", "captured", "captured"]),
        part=parts,
        currency=currencies,
    )
    def money(self, number: int, kind: str, part: float, currency: str) -> None:
        """Money is set aside or comes: mostly all of it, mostly in dollars."""
        purchase, payment, _ = self.pick(number)
        cents = int(purchase.cents * part)
        fact_of = captured if kind == "captured" else authorized
        self.history.tell(fact_of(payment, cents, currency=currency))
        self.model.money(purchase, (cents, currency), captured=kind == "captured")
        self.history.look()

    @rule(buyer=people)
    def get_coins(self, buyer: int) -> None:
        """What happens most: a purchase that is paid at once. It repays what is owed."""
        bought = len(self.model.purchases)
        self.buy(buyer, "coins_700")
        if len(self.model.purchases) > bought:
            self.money(bought, "captured", 1, "usd")

    @rule(buyer=people)
    def be_held(self, buyer: int) -> None:
        """A large purchase that waits for a decision."""
        bought = len(self.model.purchases)
        self.buy(buyer, "coins_2275000")
        if len(self.model.purchases) > bought:
            self.money(bought, "authorized", 1, "usd")

    @rule(buyer=people, then=endings)
    def spend_and_dispute(self, buyer: int, then: str) -> None:
        """Somebody spends what they bought and asks their bank for the money; then?"""
        self.history.pass_time(61)
        bought = len(self.model.purchases)
        self.get_coins(buyer)
        if len(self.model.purchases) == bought:
            return
        self.gift(buyer, (buyer + 1) % PEOPLE, "aurora")
        self.dispute(bought, 2, "open")
        if then == "buy":
            self.get_coins(buyer)
        elif then:
            self.dispute(bought, 2, then)

    @precondition(has_bought)
    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        """The bank or the provider lets go."""
        purchase, payment, _ = self.pick(number)
        self.history.tell(fact("canceled", payment))
        purchase.canceled = True
        self.history.look()

    @precondition(has_bought)
    @rule(
        number=numbers,
        name=st.integers(1, 3),
        status=refund_states,
    )
    def refund(self, number: int, name: int, status: str) -> None:
        """A refund is reported; the third is of everything."""
        purchase, payment, _ = self.pick(number)
        cents = purchase.cents if name == 3 else purchase.cents * name // 7
        currency = purchase.currency
        self.history.tell(refund(payment, f"r{name}", cents, status, currency=currency))
        self.model.claim(purchase.refunds, f"r{name}", (cents, status, currency))
        self.model.settle(purchase)
        self.history.look()

    @precondition(has_bought)
    @rule(number=numbers, name=st.integers(1, 2), status=st.sampled_from(["open", "won", "lost"]))
    def dispute(self, number: int, name: int, status: str) -> None:
        """A dispute is reported; the second is about everything."""
        purchase, payment, _ = self.pick(number)
        cents = purchase.cents if name == 2 else purchase.cents // 3
        currency = purchase.currency
        self.history.tell(dispute(payment, f"d{name}", cents, status, currency=currency))
        self.model.claim(purchase.disputes, f"d{name}", (cents, status, currency))
        self.model.settle(purchase)
        self.history.look()

    @rule(number=numbers)
    def replay(self, number: int) -> None:
        """An event is acted on once more; nothing changes."""
        if not self.history.events:
            return
        event, facts = self.history.events[number % len(self.history.events)]
        before = self.history.look()
        answer = self.history.service(
            "replay_payment_event", p_provider="sandbox", p_event_id=event, p_facts=facts
        )
        assert answer["outcome"] == "applied"
        assert self.history.look() == before

    # -- staff and jobs

    @precondition(has_bought)
    @rule(number=numbers, decision=st.sampled_from(["approve", "approve", "reject"]))
    def decide(self, number: int, decision: str) -> None:
        """A member of the staff decides."""
        purchase, _, number = self.pick(number)
        expected = self.model.decide_refusal(purchase, decision) or ""
        _, code = self.history.attempt(
            self.stage.clerk,
            "decide_purchase",
            p_purchase_id=self.history.purchase_id(number),
            p_decision=decision,
            p_reason="a test",
        )
        assert code == expected
        if not code:
            self.model.decide(purchase, decision)
        self.history.look()

    @rule()
    def answer_calls(self) -> None:
        """The provider does what it was asked to do."""
        for call in self.history.service("take_provider_calls", p_limit=50):
            payment, cents = call["provider_payment_id"], call["amount_cents"]
            purchase = self.model.purchases[self.history.find(payment)]
            name = f"call {call['id']}"
            facts = {
                "capture": captured(payment, cents),
                "cancel": fact("canceled", payment),
                "refund": refund(payment, name, cents, currency=purchase.currency),
            }
            self.history.service(
                "finish_provider_call", p_call_id=call["id"], p_facts=[facts[call["call"]]]
            )
            if call["call"] == "capture":
                self.model.money(purchase, (cents, "usd"), captured=True)
            elif call["call"] == "cancel":
                purchase.canceled = True
            else:
                self.model.claim(purchase.refunds, name, (cents, "succeeded", purchase.currency))
                self.model.settle(purchase)
        self.history.look()

    @rule(seconds=st.sampled_from([10, 61, 61, DAY, 5 * DAY + 1]))
    def pass_time(self, seconds: int) -> None:
        """Time passes."""
        self.history.pass_time(seconds)

    @rule()
    def expire(self) -> None:
        """The job of deadlines runs."""
        self.history.service("expire_purchases")
        self.model.expire()
        self.history.look()

    @rule(limit=st.sampled_from([1, 3, 5000]))
    def fold(self, limit: int) -> None:
        """The fold runs; nobody's money looks different."""
        before = self.history.look()
        self.history.service("fold_ledger", p_limit=limit)
        assert self.history.look() == before

    @precondition(has_bought)
    @rule(decision=st.sampled_from(["approve", "reject"]))
    def decide_too_late(self, decision: str) -> None:
        """A deadline passes before the job has run, and somebody decides all the same."""
        self.history.pass_time(5 * DAY + 1)
        for number in range(len(self.model.purchases)):
            self.decide(number, decision)

    @rule(person=people)
    def delete_account(self, person: int) -> None:
        """Somebody leaves, with whatever they have or owe."""
        if self.model.people[person].gone or sum(p.gone for p in self.model.people) > 1:
            return
        assert self.history.attempt(self.history.people[person], "delete_account")[1] == ""
        self.model.forget(person)
        self.history.look()

    # -- gifts

    @rule(sender=people, recipient=people, what=st.sampled_from([*GIFTS, "rose", "aurora"]))
    def gift(self, sender: int, recipient: int, what: str) -> None:
        """Somebody gives something to somebody."""
        expected = self.model.gift_refusal(sender, recipient, GIFTS[what]) or ""
        content: dict[str, object] = {
            "p_recipient_id": self.history.people[recipient].id,
            "p_gift_type_id": what,
            "p_slot_index": 1,
            "p_live_stream_id": None,
            "p_idempotency_key": self.history.key(),
        }
        answer, code = self.history.attempt(self.history.people[sender], "process_gift", **content)
        assert code == expected
        if not code:
            self.model.gift(sender, recipient, GIFTS[what])
            assert answer["coins"] == self.model.people[sender].coins
            self.gifts.append({"sender": sender, "content": content, "answer": answer})
        self.history.look()

    @rule(number=numbers, other=st.booleans())
    def repeat_gift(self, number: int, *, other: bool) -> None:
        """A gift's key comes again: the same answer, or a refusal if the content differs."""
        if not self.gifts:
            return
        gift = self.gifts[number % len(self.gifts)]
        sender: int = gift["sender"]
        if self.model.people[sender].gone:
            return
        content = gift["content"] | ({"p_slot_index": 2} if other else {})
        answer, code = self.history.attempt(self.history.people[sender], "process_gift", **content)
        assert code == ("LW075" if other else "")
        if not other:
            assert answer["gift_id"] == gift["answer"]["gift_id"]
        self.history.look()

    def teardown(self) -> None:
        """At the end everything is folded, sealed and proven."""
        while self.history.service("fold_ledger")["transactions"]:
            pass
        self.history.look()
        assert self.stage.run(verify(self.stage.world)) == {}


@pytest.mark.spec("S25", "S26", "D4", "D5")
@pytest.mark.abuse("A21", "A28", "A29", "A33", "A35")
def test_money_follows_its_rules(cluster: Cluster, world_template: str) -> None:
    run_histories(cluster, world_template, Stage, MoneyMachine, SIZE)
