import { Link } from "../router";
import { Coins } from "../ui/coin";
import { coins } from "../ui/words";
import { wallet } from "./wallet-state";

/** The balance in the bar; it leads to the wallet. */
export function BalanceLink() {
  const has = wallet.value;
  if (has === null) return null;
  return (
    <Link href="/wallet" class="balance-link" aria-label={`Wallet: you have ${coins(has.coins)}`}>
      <span class="exact">
        <Coins value={has.coins} />
      </span>
      <span class="brief">
        <Coins value={has.coins} isExact={false} />
      </span>
    </Link>
  );
}
