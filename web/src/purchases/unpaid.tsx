import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { inWords } from "../problems";
import type { Purchase } from "../protocol";
import { say } from "../status";
import { buying, giveUp, goOnPaying } from "./buying";
import { numberOf, purchaseWords } from "./purchase-words";

interface Props {
  purchase: Purchase;
  /** What says how the purchase stands: one goes on from there when the buttons go. */
  goOnAt: RefObject<HTMLElement | null>;
}

/** What a buyer can do about a purchase that waits for them: pay it, or give it up. */
export function Unpaid({ purchase, goOnAt }: Props) {
  const problem = useSignal<string | null>(null);
  const isEnding = useSignal(false);
  if (purchaseWords(purchase).stage !== "you") return null;
  const isBusy = (): boolean => buying.value !== null || isEnding.value;
  const attempt = (run: () => Promise<void>): void => {
    if (isBusy()) return;
    problem.value = null;
    run().catch((error: unknown) => (problem.value = inWords(error)));
  };
  const pay = async (): Promise<void> => {
    // Begun with a payment provider that is not the site's any more.
    if (!(await goOnPaying(purchase))) problem.value = "This can not be paid here any more. Cancel it, and choose a pack again.";
  };
  const end = async (): Promise<void> => {
    isEnding.value = true;
    try {
      const { status } = await giveUp(purchase);
      say(`${numberOf(purchase)} is ${status === "canceled" ? "cancelled" : "being cancelled"}.`);
      goOnAt.current?.focus();
    } finally {
      isEnding.value = false;
    }
  };
  const which = <span class="quiet-words"> for {numberOf(purchase)}</span>;
  // A button that is disabled loses the focus, and with it the place of whoever uses a keyboard.
  return (
    <div class="unpaid">
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="button" class="button primary" aria-disabled={isBusy()} onClick={() => attempt(pay)}>
        {buying.value === purchase.id ? "Opening…" : "Go on to payment"}
        {which}
      </button>
      <button type="button" class="button" aria-disabled={isBusy()} onClick={() => attempt(end)}>
        {isEnding.value ? "Cancelling…" : "Cancel"}
        <span class="quiet-words"> {numberOf(purchase)}</span>
      </button>
    </div>
  );
}
