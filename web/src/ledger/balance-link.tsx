import { Link } from "../router";
import { CoinIcon } from "../ui/coin";
import { brief, coins, count } from "../ui/words";
import { wallet } from "./wallet-state";

/** The balance in the bar; it leads to the wallet. On a phone a fortune is rounded. */
export function BalanceLink() {
  const has = wallet.value;
  if (has === null) return null;
  return (
    <Link href="/wallet" class="balance-link coins">
      <CoinIcon />
      <span class="numbers exact" aria-hidden="true">
        {count(has.coins)}
      </span>
      <span class="numbers brief" aria-hidden="true">
        {brief(has.coins)}
      </span>
      <span class="quiet-words">Wallet: you have {coins(has.coins)}</span>
    </Link>
  );
}
