import { effect, signal } from "@preact/signals";
import { stopTrying, tryAgain } from "../again";
import { get } from "../api";
import { inWords } from "../problems";
import type { HeldPurchase } from "../protocol";
import { on } from "../socket";
import { decidesMoney } from "../state";

/** What waits for a decision, as last read; null before that. */
export const heldPurchases = signal<readonly HeldPurchase[] | null>(null);
export const heldProblem = signal<string | null>(null);

export async function loadHeld(): Promise<void> {
  if (!decidesMoney.value) return;
  try {
    heldPurchases.value = (await get<{ purchases: HeldPurchase[] }>("/api/admin/purchases/held")).purchases;
    heldProblem.value = null;
    stopTrying(heldPurchases);
  } catch (error) {
    heldProblem.value = inWords(error);
    tryAgain(heldPurchases, error, () => void loadHeld());
  }
}

on("held", () => void loadHeld());
on("snapshot", () => void loadHeld());

effect(() => {
  if (!decidesMoney.value) heldPurchases.value = null;
});
