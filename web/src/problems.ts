import type { Problem } from "./protocol";

/** A refusal of the server, or of the way to it (`code: "offline"`). */
export class Refusal extends Error {
  constructor(readonly problem: Problem, readonly retryAfter: number | null = null) {
    super(problem.detail ?? problem.title);
  }
  get code(): string {
    return this.problem.code;
  }
}

export function offline(): Refusal {
  return new Refusal({ type: "about:blank", title: "No connection", status: 0, code: "offline" });
}

const words: Record<string, string> = {
  offline: "Livewall can not be reached. Check your connection and try again.",
  not_signed_in: "You are signed out. Sign in to go on.",
  invalid_token: "Your session has ended. Sign in again.",
  session_closed: "Your session has ended. Sign in again.",
  wrong_password: "That name and password do not match. Check both and try again.",
  banned: "This account may not use Livewall at the moment.",
  not_allowed: "You may not do that.",
  not_found: "That is not here any more.",
  name_taken: "That name is taken, or too close to one that is. Try another.",
  name_invalid: "A name has 3 to 24 characters: a to z, 0 to 9, dot and underscore.",
  too_many_links: "A profile has up to 10 links. Remove one first.",
  already_an_account: "You already have an account here.",
  accounts_elsewhere: "This site keeps its accounts elsewhere. Sign in there.",
  blocked: "You and this person can not reach each other: one of you has blocked the other.",
  stream_not_live: "This stream has just ended.",
  not_live: "You are not live at the moment.",
  too_many_tiles: "A wall has 12 tiles. Remove one first.",
  too_many_active: "Four tiles can play at once. Stop one first.",
  too_many_sessions: "Your wall is open in too many places. Close one and try again.",
  too_many_sockets: "Livewall is open in too many tabs. Close one and try again.",
  publisher_elsewhere: "You are live in another tab or on another device.",
  too_many_starts: "You went live many times in a short while. Wait a minute and try again.",
  guests_may_not_go_live: "Guests can watch and chat here. Create an account to go live.",
  slot_invalid: "That place on the wall does not exist.",
  streamer_twice_on_wall: "This person is already on your wall.",
  chat_empty: "Write something first.",
  chat_too_long: "A message has up to 500 characters.",
  muted_in_chat: "You may not write in this chat at the moment.",
  message_type_refused: "That kind of message can not be sent.",
  preview_refused: "The preview picture was not accepted. The next one is tried soon.",
  starting: "Livewall is just starting. Try again in a moment.",
  csrf: "This page is out of date. Reload it and try again.",
  foreign_origin: "This page was opened from an unexpected address.",
  too_large: "That is too large to send.",
  database_away: "Livewall is catching its breath. Try again in a moment.",
  invalid_message: "This page is out of date. Reload it and try again.",
  purchase_over_limit: "That is more than one purchase may be. Choose a smaller pack.",
  too_many_purchases: "Those were many purchases in a minute. Wait a minute, then go on.",
  not_held: "This purchase does not wait for a decision any more. The list is up to date now.",
  own_purchase: "This is your own purchase. Somebody else has to decide about it.",
  decision_too_late: "The deadline has passed. The purchase has ended, and no money is kept.",
  buyer_gone: "The buyer has left, so nobody can get these coins. Reject it, and the money goes back.",
  foreign_currency: "Coins have a price in dollars only, so nobody can get them for this. Reject it, and the money goes back.",
  idempotency_conflict: "This was begun with something else in mind. Reload the page and try again.",
  event_conflict: "This event arrived twice with different content. The audit log says more.",
  reason_needed: "Write down why. The reason is kept in the audit log.",
  amount_invalid: "That amount can not be used.",
  guests_may_not_buy: "Buying coins needs an account. Create one, and your wall stays with you.",
  not_enough_coins: "You have fewer coins than that costs.",
  spending_frozen: "You owe coins, so gifts are on hold. Your wallet says how that ends.",
  gift_to_oneself: "A gift goes to somebody else.",
  refund_refused: "That is more than can be refunded of this purchase.",
  transition_refused: "That can not be done with this purchase any more.",
  payments_off: "No coins are sold here at the moment.",
  provider_away: "The payment provider does not answer. Nothing was charged; try again in a moment.",
  provider_refused: "The payment provider refused. Nothing was charged; try again, or choose another pack.",
  sandbox_only: "That exists in the sandbox only.",
  internal: "Something went wrong on our side. Try again in a moment.",
};

function seconds(problem: Problem): number | null {
  const value = problem.fields?.["retry_after"];
  return typeof value === "number" && value > 0 ? Math.ceil(value) : null;
}

/** Seconds until the same call may succeed, or null when waiting does not help. */
export function retryAfter(refusal: Refusal): number | null {
  return seconds(refusal.problem) ?? refusal.retryAfter;
}

/** What to tell a person about any failure: short, exact, with the next step. */
export function inWords(error: unknown): string {
  if (!(error instanceof Refusal)) return words["internal"] ?? "";
  const wait = retryAfter(error);
  if (error.code === "rate_limited") return `That was quick. Try again in ${wait ?? 5} s.`;
  if (error.code === "slow_mode") return `Slow mode is on. You can write again in ${wait ?? 5} s.`;
  const known = words[error.code];
  if (known !== undefined) return known;
  return [error.problem.detail ?? error.problem.title, error.problem.hint].filter(Boolean).join(" ");
}
