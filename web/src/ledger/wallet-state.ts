import { computed, effect, signal } from "@preact/signals";
import { get } from "../api";
import type { Wallet } from "../protocol";
import { reading } from "../reading";
import { on } from "../socket";
import { account } from "../state";

/** What the person signed in has. The server says when it changed; it is never reckoned here. */
export const wallet = signal<Wallet | null>(null);
export const walletProblem = signal<string | null>(null);
/** Grows whenever the wallet may have changed: lists that explain it follow. */
export const walletChanges = signal(0);

const ofOne = () => reading(() => get<Wallet>("/api/wallet"), { take: (heard) => (wallet.value = heard), problem: walletProblem });
let current = ofOne();

export const loadWallet = (): Promise<void> => current.refresh();

/** What an answer said is left, before the event about it arrives. */
export function takeBalance(coins: number): void {
  if (wallet.value !== null) wallet.value = { ...wallet.value, coins };
}

/** A shower of gifts is followed in steps: at once, then twice a second. */
const pause = 500;
let timer = 0;
let isDue = false;

function changed(): void {
  isDue = true;
  if (timer === 0) follow();
}

function follow(): void {
  timer = 0;
  if (!isDue) return;
  isDue = false;
  timer = window.setTimeout(follow, pause);
  walletChanges.value++;
  void loadWallet();
}

const whoAmI = computed(() => account.value?.profile.id);

effect(() => {
  void whoAmI.value;
  // What is on its way is the wallet of whoever was signed in before.
  current.end();
  current = ofOne();
  wallet.value = null;
  walletProblem.value = null;
});

on("wallet", changed);
// What waits for approval is a figure of the wallet, and moves no coins.
on("purchase", changed);
// A snapshot stands for every event that was missed.
on("snapshot", changed);
