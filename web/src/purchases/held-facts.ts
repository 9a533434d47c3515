import type { HeldPurchase, Purchase } from "../protocol";
import { amountIn, coins, dollars } from "../ui/words";
import { cameOf } from "./purchase-words";

export type Decision = "approve" | "reject";

/** What finance looks at before deciding; what is notable is shown in amber. */
export interface Fact {
  words: string;
  isNotable: boolean;
}

const hour = 3_600_000;
const minute = 60_000;

/** `4 d 06 h`, `19 h`, `45 min`: time left until the decision is due. */
export function timeLeft(decideBy: string | null, now: number): Fact {
  if (decideBy === null) return { words: "no deadline", isNotable: false };
  const left = Date.parse(decideBy) - now;
  if (left <= 0) return { words: "too late", isNotable: true };
  const days = Math.floor(left / (24 * hour));
  const hours = Math.floor(left / hour) % 24;
  if (days > 0) return { words: `${days} d ${String(hours).padStart(2, "0")} h`, isNotable: false };
  const words = hours > 0 ? `${hours} h` : `${Math.max(1, Math.floor(left / minute))} min`;
  return { words, isNotable: true };
}

/** `DE → DE`; a card from elsewhere than the address stands out, an unknown country does not. */
export function countries({ card_country: card, country_code: address }: HeldPurchase): Fact {
  return { words: `${card ?? "?"} → ${address ?? "?"}`, isNotable: card !== null && address !== null && card !== address };
}

export function history({ history: { purchases, refunds, disputes } }: HeldPurchase): Fact {
  if (purchases === 0) return { words: "first purchase", isNotable: true };
  const parts = [many(purchases, "purchase")];
  if (refunds > 0) parts.push(many(refunds, "refund"));
  if (disputes > 0 || refunds === 0) parts.push(many(disputes, "dispute"));
  return { words: parts.join(", "), isNotable: disputes > 0 };
}

/** What of the money is here, and what was asked for if that is something else. */
export function money({ purchase }: HeldPurchase): string {
  const state = purchase.captured_cents > 0 ? "has arrived" : "not charged yet";
  return isAsOrdered(purchase) ? state : `${state}; ordered for ${dollars(purchase.usd_cents)}`;
}

/** What happens to money and coins, before it happens. */
export function consequence(held: HeldPurchase, decision: Decision): string {
  const { purchase, buyer } = held;
  const who = buyer?.display_name ?? "the buyer";
  if (decision === "reject") return purchase.captured_cents > 0 ? `${leftOf(purchase)} goes back to the card of ${who}. No coins are credited.` : `The card of ${who} is not charged, and no coins are credited.`;
  const gets = coins(held.coins_if_approved);
  const outcome = purchase.captured_cents > 0 ? `${cameOf(purchase)} has arrived; ${who} gets ${gets}.` : `The card of ${who} is charged ${cameOf(purchase)}; once that has succeeded, they get ${gets}.`;
  return isAsOrdered(purchase) ? outcome : `${outcome} Ordered were ${coins(purchase.coin_amount)} for ${dollars(purchase.usd_cents)}.`;
}

/** A price in dollars says nothing about a payment in something else that no order of ours began. */
function isAsOrdered({ coin_pack_id, currency, captured_cents, authorized_cents, usd_cents }: Purchase): boolean {
  return currency === "usd" ? (captured_cents || authorized_cents) === usd_cents : coin_pack_id === null;
}

function leftOf({ currency, captured_cents, refunded_cents, disputed_cents }: Purchase): string {
  return amountIn(currency, captured_cents - refunded_cents - disputed_cents);
}

/** Why not every decision can be made here; null if each can. */
export function decisionLimit({ may_decide, may_approve, buyer }: HeldPurchase): string | null {
  if (!may_decide) return "Your own purchase: somebody else has to decide.";
  if (may_approve) return null;
  return buyer === null ? "The buyer has left, so nobody can get the coins." : "Coins have a price in dollars only: it can only be sent back.";
}

function many(value: number, thing: string): string {
  return `${value} ${value === 1 ? thing : `${thing}s`}`;
}
