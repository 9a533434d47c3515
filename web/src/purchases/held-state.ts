import { effect, signal } from "@preact/signals";
import { get } from "../api";
import type { HeldPurchase } from "../protocol";
import { reading } from "../reading";
import { on } from "../socket";
import { decidesMoney } from "../state";

/** What waits for a decision, as last read; null before that. */
export const heldPurchases = signal<readonly HeldPurchase[] | null>(null);
export const heldProblem = signal<string | null>(null);

const ofOne = () =>
  reading(() => get<{ purchases: HeldPurchase[] }>("/api/admin/purchases/held"), { take: ({ purchases }) => (heldPurchases.value = purchases), problem: heldProblem });
let current = ofOne();

export async function loadHeld(): Promise<void> {
  if (decidesMoney.value) await current.refresh();
}

on("held", () => void loadHeld());
on("snapshot", () => void loadHeld());

effect(() => {
  if (decidesMoney.value) return;
  current.end();
  current = ofOne();
  heldPurchases.value = null;
  heldProblem.value = null;
});
