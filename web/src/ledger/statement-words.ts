import type { Currency, StatementEntry } from "../protocol";
import { count } from "../ui/words";

/** One line of a statement in words: what happened, with whom. */
export function entryWords(entry: StatementEntry, currency: Currency): string {
  const name = entry.counterpart?.display_name ?? "somebody who has left";
  if (entry.kind === "gift") return currency === "earnings" ? `${entry.title} from ${name}` : `${entry.title} for ${name}`;
  if (entry.kind === "opening") return "Brought along from before this ledger began";
  return purchaseKinds[entry.kind]?.(entry.title) ?? entry.title;
}

/** What can happen to the coins of a purchase, told with its number. */
const purchaseKinds: Record<string, (number: string) => string> = {
  purchase: (number) => `Coins bought, ${number}`,
  hold: (number) => `Coins set aside while the payment of ${number} is looked at`,
  refund: (number) => `Coins taken back for the refund of ${number}`,
  refund_failed: (number) => `Coins returned: the refund of ${number} did not go through`,
  dispute: (number) => `Coins set aside while your bank looks at ${number}`,
  dispute_won: (number) => `Coins returned: the dispute about ${number} is over`,
};

/** Where a line leads to, if there is more to see about it. */
export function receiptOf(entry: StatementEntry): string | null {
  return entry.kind in purchaseKinds ? `/wallet/purchases/${entry.source_id}` : null;
}

/** `+500` or `−10`. */
export const signed = (amount: number): string => (amount < 0 ? count(amount) : `+${count(amount)}`);
