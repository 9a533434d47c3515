import { useSignal } from "@preact/signals";
import { inWords } from "../problems";
import type { Purchase } from "../protocol";
import { say } from "../status";
import { buying, giveUp, goOnPaying } from "./buying";
import { numberOf, purchaseWords } from "./purchase-words";

/** What a buyer can do about a purchase that waits for them: pay it, or give it up. */
export function Unpaid({ purchase }: { purchase: Purchase }) {
  const problem = useSignal<string | null>(null);
  const isEnding = useSignal(false);
  if (purchaseWords(purchase).stage !== "you") return null;
  const attempt = (run: () => Promise<void>): void => {
    problem.value = null;
    run().catch((error: unknown) => (problem.value = inWords(error)));
  };
  const pay = async (): Promise<void> => {
    const now = await goOnPaying(purchase);
    // Begun with a payment provider that is not the site's any more.
    if (now !== undefined && purchaseWords(now).stage === "you") problem.value = "This can not be paid here any more. Cancel it, and choose a pack again.";
  };
  const end = async (): Promise<void> => {
    isEnding.value = true;
    try {
      const { status } = await giveUp(purchase);
      say(`${numberOf(purchase)} is ${status === "canceled" ? "cancelled" : "being cancelled"}.`);
    } finally {
      isEnding.value = false;
    }
  };
  const isBusy = buying.value !== null || isEnding.value;
  const which = <span class="quiet-words"> for {numberOf(purchase)}</span>;
  return (
    <div class="unpaid">
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="button" class="button primary" disabled={isBusy} onClick={() => attempt(pay)}>
        {buying.value === purchase.id ? "Opening…" : "Go on to payment"}
        {which}
      </button>
      <button type="button" class="button" disabled={isBusy} onClick={() => attempt(end)}>
        {isEnding.value ? "Cancelling…" : "Cancel"}
        <span class="quiet-words"> {numberOf(purchase)}</span>
      </button>
    </div>
  );
}
