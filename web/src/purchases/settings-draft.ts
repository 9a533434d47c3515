import type { PurchaseSettings } from "../protocol";

/** The settings as they stand in the fields of the form. */
export interface Draft {
  limit: string;
  threshold: string;
  daily: string;
  velocity: string;
  share: string;
}

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

const wholeNumber = (text: string): number | null => (/^\d{1,7}$/.test(text.trim()) ? Number(text) : null);

/** What differs, as the server takes it; null while a field is not right. */
export function changesOf(settings: PurchaseSettings, draft: Draft): Partial<PurchaseSettings> | null {
  const daily = draft.daily.trim() === "" ? null : centsOf(draft.daily);
  const wanted = {
    limit_cents: centsOf(draft.limit),
    threshold_cents: centsOf(draft.threshold),
    velocity: wholeNumber(draft.velocity),
    streamer_share_percent: wholeNumber(draft.share),
  };
  const isWrong = Object.values(wanted).includes(null) || (daily === null && draft.daily.trim() !== "");
  if (isWrong) return null;
  const all = { ...wanted, daily_threshold_cents: daily } as PurchaseSettings;
  const names = Object.keys(all) as (keyof PurchaseSettings)[];
  return Object.fromEntries(names.filter((name) => all[name] !== settings[name]).map((name) => [name, all[name]]));
}
