import type { GiftType, Wallet } from "../protocol";
import { coins } from "../ui/words";

/** Why a gift was not given. */
export interface GiftTrouble {
  words: string;
  /** Coins, or an account to buy them with, would help. */
  leadsToWallet: boolean;
}

/** What keeps somebody with this wallet from giving a gift, if anything does. */
export function obstacle(gift: GiftType, has: Wallet | null): GiftTrouble | null {
  if (has === null) return null;
  if (has.is_frozen) return { words: `You owe ${coins(has.debt)}, so gifts are on hold. Your wallet says how that ends.`, leadsToWallet: true };
  return has.coins < gift.price ? { words: `${gift.title} costs ${coins(gift.price)}, and you have ${coins(has.coins)}.`, leadsToWallet: true } : null;
}
