import { signal } from "@preact/signals";
import { get, post } from "../api";
import { intents } from "../idempotency";
import { beginCheckout } from "../payments/checkout";
import { inWords } from "../problems";
import type { Checkout, CoinPack, Purchase } from "../protocol";
import { navigate } from "../router";
import { on } from "../socket";

/** The pack whose purchase is being created, by id. */
export const buying = signal<string | null>(null);
export const buyProblem = signal<string | null>(null);
/** The last purchase the server told us of, for whoever shows purchases. */
export const heardPurchase = signal<Purchase | null>(null);

const wanted = intents();

export const receiptPath = (purchaseId: string): string => `/wallet/purchases/${purchaseId}`;

/** Creates the purchase, then goes where it is paid. Pressing again after a failure buys once. */
export async function buy(pack: CoinPack): Promise<void> {
  if (buying.value !== null) return;
  buying.value = pack.id;
  buyProblem.value = null;
  const key = wanted.keyFor(pack.id);
  try {
    await order(pack.id, key);
    wanted.settle(pack.id);
  } catch (error) {
    wanted.settle(pack.id, error);
    buyProblem.value = inWords(error);
  } finally {
    buying.value = null;
  }
}

async function order(packId: string, key: string): Promise<void> {
  const answer = await post<{ purchase: Purchase; checkout: Checkout | null }>("/api/purchases", { pack_id: packId, idempotency_key: key });
  rememberOrder(answer.purchase.id, packId, key);
  if (answer.checkout === null) navigate(receiptPath(answer.purchase.id));
  else beginCheckout(answer.checkout, answer.purchase);
}

/* A purchase left before paying can be gone on with in the same tab: the same key gives the same
 * purchase, and the way to pay for it. */
const ordersKey = "livewall.orders";
type Order = [packId: string, key: string];

function orders(): Record<string, Order> {
  return JSON.parse(sessionStorage.getItem(ordersKey) ?? "{}") as Record<string, Order>;
}

function rememberOrder(purchaseId: string, packId: string, key: string): void {
  sessionStorage.setItem(ordersKey, JSON.stringify({ ...orders(), [purchaseId]: [packId, key] }));
}

export const canGoOn = (purchase: Purchase): boolean => purchase.id in orders();

export async function goOnPaying(purchase: Purchase): Promise<void> {
  const found = orders()[purchase.id];
  if (found === undefined) return;
  buyProblem.value = null;
  try {
    await order(...found);
  } catch (error) {
    buyProblem.value = inWords(error);
  }
}

export const readPurchase = (id: string): Promise<Purchase> => get<Purchase>(`/api/purchases/${encodeURIComponent(id)}`);

on("purchase", ({ purchase }) => (heardPurchase.value = purchase));
