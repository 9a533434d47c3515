import type { HeldPurchase } from "../protocol";

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

/** Why not every decision can be made here; null if each can. */
export function decisionLimit({ may_decide, may_approve }: HeldPurchase): string | null {
  if (!may_decide) return "Your own purchase: somebody else has to decide.";
  return may_approve ? null : "The buyer has left, so nobody can get the coins.";
}

function many(value: number, thing: string): string {
  return `${value} ${value === 1 ? thing : `${thing}s`}`;
}
