import type { Purchase } from "../protocol";
import { amountIn, coins, dateAndTime, dollars } from "../ui/words";

/** `done` and `over` are final, `open` moves by itself, `you` waits for the buyer. */
export type Stage = "done" | "open" | "you" | "over";

export interface PurchaseWords {
  state: string;
  text: string;
  stage: Stage;
}

export const numberOf = (purchase: Purchase): string => `P-${purchase.number}`;

/** What came, or else is set aside at the buyer's bank. */
export const cameOf = ({ currency, captured_cents, authorized_cents }: Purchase): string => amountIn(currency, captured_cents || authorized_cents);

/** The price that was asked. A payment that no order of ours began has none but what came. */
export const priceOf = (purchase: Purchase): string =>
  purchase.coin_pack_id === null && purchase.currency !== "usd" ? cameOf(purchase) : dollars(purchase.usd_cents);

const refundedOf = ({ currency, refunded_cents }: Purchase): string => amountIn(currency, refunded_cents);

/** A purchase's state in words: what it is, and what happens to coins and card. */
export function purchaseWords(purchase: Purchase): PurchaseWords {
  if (purchase.is_being_canceled) {
    return { state: "Being cancelled", text: "It ends as soon as the payment provider agrees. Your card is not charged, unless you have paid already.", stage: "open" };
  }
  switch (purchase.status) {
    case "created":
    case "pending":
      return { state: "Not paid yet", text: "It waits for your payment, and ends by itself if none comes. Your card is not charged.", stage: "you" };
    case "processing":
      return { state: "Payment on its way", text: "Your bank is working on it. The coins arrive as soon as it agrees; you need not wait here.", stage: "open" };
    case "held":
      return { state: "Held for approval", text: heldWords(purchase), stage: "open" };
    case "approved":
      return { state: "Approved", text: `${cameOf(purchase)} is being charged to your card. The coins arrive right after.`, stage: "open" };
    case "completed":
      return purchase.refunded_cents > 0 ? { state: "Refunded in part", text: backAndTaken(purchase), stage: "over" } : { state: "Completed", text: arrivedWords(purchase), stage: "done" };
    case "rejected":
      return { state: "Rejected", text: `A second person did not approve it. ${moneyBack(purchase)}`, stage: "over" };
    case "expired":
      return { state: "Expired", text: `Nobody decided or paid in time. ${moneyBack(purchase)}`, stage: "over" };
    case "canceled":
      return { state: "Cancelled", text: "Your card was not charged.", stage: "over" };
    case "failed":
      return { state: "Payment failed", text: "Your bank did not agree, and your card was not charged. Try again, or with another card.", stage: "you" };
    case "refunded":
      return { state: "Refunded", text: backAndTaken(purchase), stage: "over" };
    case "disputed":
      return { state: "Disputed", text: "Your bank is looking at this payment. Its coins are set aside until it has decided.", stage: "open" };
    case "dispute_lost":
      return { state: "Charged back", text: "Your bank returned the money to you, so the coins were taken back.", stage: "over" };
  }
}

function heldWords(purchase: Purchase): string {
  const until = purchase.decide_by === null ? "" : ` A decision comes by ${dateAndTime(purchase.decide_by)}.`;
  const why =
    purchase.hold_reason === null
      ? "Purchases as large as this one, alone or with others of the same day, are checked by a second person."
      : "The payment is not as it was ordered, so a second person checks it.";
  const money = purchase.captured_cents > 0 ? "If they reject it, what you paid goes back to your card." : "Your card is not charged before that.";
  return `${why} ${money}${until}`;
}

/** What is owed is repaid before anything goes into the wallet. */
function arrivedWords({ paid_coins, repaid_coins }: Purchase): string {
  if (repaid_coins === 0) return `${coins(paid_coins)} went into your wallet.`;
  const left = paid_coins - repaid_coins;
  const rest = left === 0 ? "None was left for your wallet." : `The other ${coins(left)} went into your wallet.`;
  return `${coins(repaid_coins)} repaid what you owed. ${rest}`;
}

/** Only what was taken can be returned; until the provider reports that, it is on its way back. */
function moneyBack(purchase: Purchase): string {
  if (purchase.refunded_cents > 0) return `${refundedOf(purchase)} went back to your card.`;
  return purchase.captured_cents > 0 ? "What you paid goes back to your card." : "Your card was not charged.";
}

const backAndTaken = (purchase: Purchase): string => `${refundedOf(purchase)} went back to your card, and ${coins(purchase.refunded_coins)} were taken back.`;
