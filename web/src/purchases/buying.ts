import { signal } from "@preact/signals";
import { get, post } from "../api";
import { intents } from "../idempotency";
import { beginCheckout } from "../payments/checkout";
import type { Checkout, CoinPack, Purchase } from "../protocol";
import { navigate } from "../router";
import { on } from "../socket";
import { purchaseWords } from "./purchase-words";

/** The pack or the unpaid purchase whose payment is being opened, by id. */
export const buying = signal<string | null>(null);
/** The last purchase the server told us of, for whoever shows purchases. */
export const heardPurchase = signal<Purchase | null>(null);

const wanted = intents();

type Started = { purchase: Purchase; checkout: Checkout | null };

export const receiptPath = (purchaseId: string): string => `/wallet/purchases/${purchaseId}`;

/** Creates the purchase, then goes where it is paid. Pressing again after a failure buys once. */
export async function buy(pack: CoinPack): Promise<void> {
  await opening(pack.id, async () => {
    const key = wanted.keyFor(pack.id);
    try {
      go(await post<Started>("/api/purchases", { pack_id: pack.id, idempotency_key: key }));
      wanted.settle(pack.id);
    } catch (error) {
      wanted.settle(pack.id, error);
      throw error;
    }
  });
}

/** Goes on with what was left before paying, in whichever tab or on whichever device. False if it is unpaid, and there is no
 * way to pay it any more: then one stays where one is. */
export async function goOnPaying(purchase: Purchase): Promise<boolean> {
  let isPossible = true;
  await opening(purchase.id, async () => {
    const started = await post<Started>(`${apiPath(purchase.id)}/payment`);
    isPossible = started.checkout !== null || purchaseWords(started.purchase).stage !== "you";
    if (isPossible) go(started);
    else heardPurchase.value = started.purchase;
  });
  return isPossible;
}

/** The provider has the last word: unless it is cancelled already, what became of it is heard a moment later. */
export async function giveUp(purchase: Purchase): Promise<Purchase> {
  heardPurchase.value = await post<Purchase>(`${apiPath(purchase.id)}/cancel`);
  return heardPurchase.value;
}

export const readPurchase = (id: string): Promise<Purchase> => get<Purchase>(apiPath(id));

const apiPath = (id: string): string => `/api/purchases/${encodeURIComponent(id)}`;

async function opening(what: string, run: () => Promise<void>): Promise<void> {
  if (buying.value !== null) return;
  buying.value = what;
  try {
    await run();
  } finally {
    buying.value = null;
  }
}

function go({ purchase, checkout }: Started): void {
  heardPurchase.value = purchase;
  if (checkout === null) navigate(receiptPath(purchase.id));
  else beginCheckout(checkout, purchase);
}

on("purchase", ({ purchase }) => (heardPurchase.value = purchase));
