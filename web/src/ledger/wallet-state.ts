import { computed, effect, signal } from "@preact/signals";
import { stopTrying, tryAgain } from "../again";
import { get } from "../api";
import { inWords } from "../problems";
import type { Wallet } from "../protocol";
import { on } from "../socket";
import { account } from "../state";

/** What the person signed in has. The server says when it changed; it is never reckoned here. */
export const wallet = signal<Wallet | null>(null);
export const walletProblem = signal<string | null>(null);
/** Grows whenever the wallet may have changed: lists that explain it follow. */
export const walletChanges = signal(0);

export async function loadWallet(): Promise<void> {
  const who = whoAmI.value;
  try {
    const heard = await get<Wallet>("/api/wallet");
    if (whoAmI.value === who) wallet.value = heard;
    walletProblem.value = null;
    stopTrying(wallet);
  } catch (error) {
    walletProblem.value = inWords(error);
    tryAgain(wallet, error, () => void loadWallet());
  }
}

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
  wallet.value = null;
  walletProblem.value = null;
  stopTrying(wallet);
});

on("wallet", changed);
// What waits for approval is a figure of the wallet, and moves no coins.
on("purchase", changed);
// A snapshot stands for every event that was missed.
on("snapshot", changed);
