// The sentences are English, so their numbers and dates are too: "$25.000,00" would be read out as twenty-five.
const number = new Intl.NumberFormat("en-US");
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const exactClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const calendar = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** With a real minus sign, as wide as a digit. */
export const count = (value: number): string => number.format(value).replace("-", "−");
/** `99,999`, then `2.3M`: where there is no room for every digit. */
export const brief = (value: number): string => (Math.abs(value) < 100_000 ? count(value) : compact.format(value));
/** `$25,000.00`, from whole cents. */
export const dollars = (cents: number): string => money.format(cents / 100);
/** `$3.33`, or `JPY 999 (smallest unit)`: how many of those make a whole one is not the same everywhere. */
export const amountIn = (currency: string, cents: number): string =>
  currency === "usd" ? dollars(cents) : `${currency.toUpperCase()} ${count(cents)} (smallest unit)`;
/** `1 coin`, `1,240 coins`. */
export const coins = (value: number): string => `${count(value)} ${Math.abs(value) === 1 ? "coin" : "coins"}`;
/** `350 earned`: what a streamer gets of gifts is no coins. */
export const earned = (value: number): string => `${count(value)} earned`;
/** `25 Nov 2026, 21:35`. */
export const dateAndTime = (when: number | string): string => `${calendar.format(new Date(when))}, ${timeOfDay(when)}`;
/** `25 Nov 2026, 21:35:07`: where several things happen within a minute. */
export const dateAndExactTime = (when: number | string): string => `${calendar.format(new Date(when))}, ${exactClock.format(new Date(when))}`;
export const timeOfDay = (when: number | string): string => clock.format(new Date(when));

/** `nobody is`, `1 person is`, `3 people are`. */
export function people(value: number): string {
  if (value === 0) return "nobody is";
  return value === 1 ? "1 person is" : `${count(value)} people are`;
}

/** Minutes since a moment, as in `42 min` or `2 h 5 min`. */
export function lasting(from: string | number, until: number = Date.now()): string {
  return minutes(until - new Date(from).getTime());
}

export function minutes(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / 60_000));
  if (total === 0) return `${Math.max(0, Math.floor(milliseconds / 1000))} s`;
  return total < 60 ? `${total} min` : `${Math.floor(total / 60)} h ${total % 60} min`;
}

/** `ana`, `ana and kofi`, `ana, kofi and mei`, `ana, kofi and 3 more`. */
export function listed(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most);
  const rest = names.length - shown.length;
  const parts = rest > 0 ? [...shown, `${rest} more`] : shown;
  if (parts.length < 2) return parts[0] ?? "";
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

export const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);
