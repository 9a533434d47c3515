import type { AuditEntry } from "../protocol";
import { amountIn, count, dollars } from "../ui/words";

/** Who acted, where there is no profile to show: people stay people when their account is gone. */
export function nobodyToShow({ actor_id }: AuditEntry): string {
  return actor_id === null ? "Livewall itself" : "Somebody who has left";
}

/** What an entry is about: a purchase as everybody calls it, and the id beneath for whoever searches. */
export function aboutWords({ subject, details }: AuditEntry): { words: string | null; id: string | null } {
  if (subject === "money_settings") return { words: "Settings", id: null };
  return { words: typeof details["number"] === "number" ? `P-${details["number"]}` : null, id: subject };
}

/** One line of the details. */
export interface Detail {
  label: string;
  words: string;
}

type Values = Record<string, unknown>;

/** The details in words, the reason first. The buyer and the number stand elsewhere in the row. */
export function detailsOf({ details }: AuditEntry): Detail[] {
  const { reason, before, after, number: _number, buyer_id: _buyer, ...others } = details;
  const said = typeof reason === "string" ? [{ label: "reason", words: reason }] : [];
  const changed = isValues(before) && isValues(after) ? changesBetween(before, after) : [];
  // An amount and its currency are one thing.
  const shown = Object.entries(others).filter(([name]) => name !== "currency" || others["amount_cents"] === undefined);
  return [...said, ...changed, ...shown.map(([name, value]) => detail(name, value, others))];
}

function changesBetween(before: Values, after: Values): Detail[] {
  return Object.keys(after)
    .filter((name) => before[name] !== after[name])
    .map((name) => {
      const [label, inWords] = settings[name] ?? [plain(name), plainValue];
      return { label, words: `${inWords(before[name])} → ${inWords(after[name])}` };
    });
}

const amount = (value: unknown): string => (typeof value === "number" ? dollars(Math.round(value * 100)) : "none");
/** Older lines have no currency, or say by their name that it is dollars. */
function amountWords(cents: unknown, currency: unknown): string {
  if (typeof cents !== "number") return plainValue(cents);
  return typeof currency === "string" ? amountIn(currency, cents) : `${count(cents)} (smallest unit)`;
}
const number = (value: unknown): string => (typeof value === "number" ? count(value) : plainValue(value));

const settings: Record<string, [label: string, inWords: (value: unknown) => string]> = {
  purchase_limit: ["largest purchase", amount],
  approval_threshold: ["approval over", amount],
  daily_threshold: ["approval over, within 24 hours", amount],
  purchases_per_minute: ["purchases within a minute", number],
  streamer_share_percent: ["streamer's share", (value) => `${number(value)} %`],
};

function detail(name: string, value: unknown, { currency }: Values): Detail {
  if (name === "usd_amount") return { label: "price", words: amount(value) };
  if (name === "usd_cents") return { label: "amount", words: amountWords(value, "usd") };
  if (name === "amount_cents") return { label: "amount", words: amountWords(value, currency) };
  return { label: plain(name), words: plainValue(value) };
}

const plain = (name: string): string => name.replaceAll("_", " ");
const plainValue = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
const isValues = (value: unknown): value is Values => typeof value === "object" && value !== null;
