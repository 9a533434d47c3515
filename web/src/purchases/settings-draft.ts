import type { PurchaseSettings } from "../protocol";
import { count, dollars } from "../ui/words";

/** The settings as they stand in the fields of the form. */
export interface Draft {
  limit: string;
  threshold: string;
  daily: string;
  velocity: string;
  share: string;
}

interface Range {
  setting: keyof PurchaseSettings;
  isMoney: boolean;
  least: number;
  most: number;
}

/** The server's own ranges, said before it has to refuse. Money in cents. */
const ranges: Record<keyof Draft, Range> = {
  limit: { setting: "limit_cents", isMoney: true, least: 1, most: 9_999_999_999 },
  threshold: { setting: "threshold_cents", isMoney: true, least: 0, most: 9_999_999_999 },
  daily: { setting: "daily_threshold_cents", isMoney: true, least: 0, most: 9_999_999_999 },
  velocity: { setting: "velocity", isMoney: false, least: 1, most: 1_000_000 },
  share: { setting: "streamer_share_percent", isMoney: false, least: 0, most: 100 },
};

const names = Object.keys(ranges) as (keyof Draft)[];

export function draftOf(settings: PurchaseSettings): Draft {
  const daily = settings.daily_threshold_cents;
  return {
    limit: amount(settings.limit_cents),
    threshold: amount(settings.threshold_cents),
    daily: daily === null ? "" : amount(daily),
    velocity: `${settings.velocity}`,
    share: `${settings.streamer_share_percent}`,
  };
}

const amount = (cents: number): string => (cents / 100).toFixed(2);

/** `25000`, `25,000.00` or `$25,000` in cents, null if it is no amount. Never through a fraction. */
export function centsOf(text: string): number | null {
  const found = /^\$?(\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.(\d{1,2}))?$/.exec(text.trim());
  if (found === null) return null;
  const [, whole = "", fraction = ""] = found;
  return Number(whole.replaceAll(",", "")) * 100 + Number(fraction.padEnd(2, "0"));
}

const wholeNumber = (text: string): number | null => (/^\d{1,9}$/.test(text.trim()) ? Number(text) : null);

/** No daily threshold is a setting, too; nothing else may be left empty. */
const isNone = (name: keyof Draft, draft: Draft): boolean => name === "daily" && draft.daily.trim() === "";

const valueOf = (name: keyof Draft, draft: Draft): number | null => (ranges[name].isMoney ? centsOf : wholeNumber)(draft[name]);

/** What is wrong with a field, and what would be right; null if nothing is. */
export function fieldProblem(name: keyof Draft, draft: Draft): string | null {
  const { isMoney, least, most } = ranges[name];
  const value = valueOf(name, draft);
  if (isNone(name, draft) || (value !== null && value >= least && value <= most)) return null;
  if (isMoney) return `Write an amount from ${dollars(least)} to ${dollars(most)}, such as 25000.00.`;
  return `Write a whole number from ${count(least)} to ${count(most)}.`;
}

/** What a threshold comes to that no purchase can exceed: money that is not as ordered is held all the same. It may be meant, so it is said and not refused. */
export function thresholdHint(draft: Draft): string | null {
  const limit = centsOf(draft.limit);
  const threshold = centsOf(draft.threshold);
  if (limit === null || threshold === null || threshold < limit) return null;
  const together = isNone("daily", draft) ? "" : ", only with others of the same 24 hours";
  return `No purchase can be larger than ${dollars(limit)}, so none waits for a second person for its size alone${together}. What is raised here counts 24 hours later.`;
}

/** What differs, as the server takes it; null while a field is not right. */
export function changesOf(settings: PurchaseSettings, draft: Draft): Partial<PurchaseSettings> | null {
  if (names.some((name) => fieldProblem(name, draft) !== null)) return null;
  const wanted = names.map((name): [keyof PurchaseSettings, number | null] => [ranges[name].setting, valueOf(name, draft)]);
  return Object.fromEntries(wanted.filter(([setting, value]) => value !== settings[setting]));
}
