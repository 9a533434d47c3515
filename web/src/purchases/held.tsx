import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { HeldPurchase } from "../protocol";
import { Link, profilePath } from "../router";
import { clockOffset } from "../state";
import { Coins } from "../ui/coin";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { DecisionDialog } from "./decision-dialog";
import { countries, decisionLimit, history, money, timeLeft, type Decision, type Fact } from "./held-facts";
import { heldProblem, heldPurchases, loadHeld } from "./held-state";
import { cameOf, numberOf } from "./purchase-words";

interface Choice {
  held: HeldPurchase;
  decision: Decision;
}

/** Purchases that wait for a second person: one decision a row. */
export function Held() {
  const choice = useSignal<Choice | null>(null);
  const problem = heldProblem.value;
  const title = useRef<HTMLHeadingElement>(null);
  // Where the row has gone with its buttons, one goes on from the top of the list.
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && choice.value === null && document.activeElement === document.body) title.current?.focus();
    wasOpen.current = choice.value !== null;
  }, [choice.value]);
  useEffect(() => {
    void loadHeld();
    // Deadlines come nearer while nothing else happens.
    const timer = window.setInterval(() => void loadHeld(), 60_000);
    return () => window.clearInterval(timer);
  }, []);
  const list = heldPurchases.value;
  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        Held purchases
      </h1>
      <p class="quiet">Nothing is credited until a second person decides. A purchase whose deadline passes ends by itself, and no money is kept.</p>
      {problem && <Trouble words={problem} retry={() => void loadHeld()} />}
      {list === null && !problem && <LinesSkeleton label="Loading held purchases" lines={4} />}
      {list?.length === 0 && <p class="empty-note quiet">Nothing waits for a decision.</p>}
      {list !== null && list.length > 0 && <Table list={list} decide={(held, decision) => (choice.value = { held, decision })} />}
      {choice.value !== null && <DecisionDialog {...choice.value} close={() => (choice.value = null)} />}
    </>
  );
}

type Decide = (held: HeldPurchase, decision: Decision) => void;
const columns = ["Purchase", "Buyer", "Amount", "Coins", "Card → address", "History", "Decide within", "Decision"];

function Table({ list, decide }: { list: readonly HeldPurchase[]; decide: Decide }) {
  return (
    <table class="console-table numbers held" role="table" data-testid="held">
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((title) => (
            <th key={title} role="columnheader" scope="col" class={title === "Amount" || title === "Coins" ? "number" : undefined}>
              <span class={title === "Decision" ? "quiet-words" : undefined}>{title}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {list.map((held) => (
          <Row key={held.purchase.id} held={held} decide={decide} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ held, decide }: { held: HeldPurchase; decide: Decide }) {
  const { purchase, buyer } = held;
  return (
    <tr role="row">
      <td role="cell" data-label="Purchase">
        {numberOf(purchase)}
        {purchase.hold_reason !== null && <small class="quiet">{purchase.hold_reason.replaceAll("_", " ")}</small>}
      </td>
      <td role="cell" data-label="Buyer">
        {buyer ? (
          <Link href={profilePath(buyer.name)} class="buyer">
            {buyer.display_name}
          </Link>
        ) : (
          "has left"
        )}
      </td>
      <td role="cell" data-label="Amount" class="number">
        {cameOf(purchase)}
        <small class="quiet">{money(held)}</small>
      </td>
      <td role="cell" data-label="Coins" class="number">
        <Coins value={held.coins_if_approved} />
      </td>
      <FactCell label="Card → address" fact={countries(held)} />
      <FactCell label="History" fact={history(held)} />
      <FactCell label="Decide within" fact={timeLeft(purchase.decide_by, Date.now() + clockOffset.value)} />
      <td role="cell" class="row-actions">
        <Actions held={held} decide={decide} />
      </td>
    </tr>
  );
}

function FactCell({ label, fact }: { label: string; fact: Fact }) {
  return (
    <td role="cell" data-label={label}>
      <span class={fact.isNotable ? "notable" : undefined}>{fact.words}</span>
    </td>
  );
}

function Actions({ held, decide }: { held: HeldPurchase; decide: Decide }) {
  const number = numberOf(held.purchase);
  const limit = decisionLimit(held);
  return (
    <>
      {limit !== null && <span class="quiet decision-limit">{limit}</span>}
      {held.may_decide && (
        <button type="button" class="button" aria-label={`Reject ${number}`} onClick={() => decide(held, "reject")}>
          Reject
        </button>
      )}
      {held.may_approve && (
        <button type="button" class="button primary" aria-label={`Approve ${number}`} onClick={() => decide(held, "approve")}>
          Approve
        </button>
      )}
    </>
  );
}
