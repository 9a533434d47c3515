import { signal } from "@preact/signals";
import { post } from "../api";
import { intents, isUncertain } from "../idempotency";
import { loadWallet, takeBalance, wallet } from "../ledger/wallet-state";
import { inWords, Refusal } from "../problems";
import type { GiftReceipt, GiftType } from "../protocol";
import { say } from "../status";
import { coins } from "../ui/words";
import { obstacle, type GiftTrouble } from "./obstacle";

/** Whom a gift goes to, and where on the sender's wall that was. */
export interface GiftTarget {
  recipientId: string;
  name: string;
  slotIndex: number;
  streamId: string;
}

/** The gift on its way, by its type. One at a time: a balance is spent in the order of presses. */
export const sending = signal<string | null>(null);

const wanted = intents();
const attempts = 3;
const pause = 700;
const walletHelps = new Set(["not_enough_coins", "spending_frozen", "guests_may_not_buy"]);

/** Sends a gift once; null when it has arrived, and nothing is sent while another is on its way. The balance moves when the
 * server says so. */
export async function sendGift(gift: GiftType, to: GiftTarget): Promise<GiftTrouble | "busy" | null> {
  // Looked at here, too: whoever calls may have waited for something since they looked.
  if (sending.value !== null) return "busy";
  sending.value = gift.id;
  const want = `${gift.id} ${to.recipientId} ${to.slotIndex} ${to.streamId}`;
  try {
    const receipt = await give(gift, to, wanted.keyFor(want));
    wanted.settle(want);
    takeBalance(receipt.coins);
    say(`${to.name} has your ${gift.title}. You have ${coins(receipt.coins)} left.`);
    return null;
  } catch (error) {
    wanted.settle(want, error);
    const trouble = troubleOf(error, gift);
    if (!trouble.leadsToWallet) return trouble;
    // What was shown as the balance was no longer true.
    await loadWallet();
    return obstacle(gift, wallet.value) ?? trouble;
  } finally {
    sending.value = null;
  }
}

/** With one key a gift is given once, so an answer that got lost is simply asked for again. */
async function give(gift: GiftType, to: GiftTarget, key: string): Promise<GiftReceipt> {
  const body = { recipient_id: to.recipientId, gift_type_id: gift.id, slot_index: to.slotIndex, stream_id: to.streamId, idempotency_key: key };
  for (let attempt = 1; ; attempt++) {
    try {
      return await post<GiftReceipt>("/api/gifts", body);
    } catch (error) {
      if (attempt === attempts || !isUncertain(error)) throw error;
      await new Promise((later) => window.setTimeout(later, pause * attempt));
    }
  }
}

function troubleOf(error: unknown, gift: GiftType): GiftTrouble {
  const code = error instanceof Refusal ? error.code : "";
  const fewCoins = `${gift.title} costs ${coins(gift.price)}, and you have fewer.`;
  const unsure = `It is not certain whether ${gift.title} arrived. Press it again: it is given and paid once.`;
  const words = code === "not_enough_coins" ? fewCoins : isUncertain(error) ? unsure : inWords(error);
  return { words, leadsToWallet: walletHelps.has(code) };
}
