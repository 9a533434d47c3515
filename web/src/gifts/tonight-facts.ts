import type { Pages } from "../ledger/paging";
import type { StatementEntry } from "../protocol";

export interface Brought {
  earned: number;
  gifts: number;
  /** False while older gifts of the session have not been read: then it is at least this much. */
  isAll: boolean;
}

type Earnings = Pages<StatementEntry, string>;

/** What the gifts since a moment brought, by the statement of earnings. */
export function broughtSince(since: string, earnings: Earnings): Brought {
  const from = Date.parse(since);
  const gifts = earnings.entries.filter((entry) => entry.kind === "gift" && Date.parse(entry.created_at) >= from);
  const earned = gifts.reduce((sum, entry) => sum + entry.amount, 0);
  return { earned, gifts: gifts.length, isAll: reachesBackTo(since, earnings) };
}

/** Whether the pages read so far go back to that moment. */
export function reachesBackTo(since: string, earnings: Earnings): boolean {
  const oldest = earnings.entries.at(-1);
  return earnings.next === null || (oldest !== undefined && Date.parse(oldest.created_at) < Date.parse(since));
}
