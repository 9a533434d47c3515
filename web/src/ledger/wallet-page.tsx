import type { ComponentChildren } from "preact";
import { Packs } from "../purchases/packs";
import { PurchaseList } from "../purchases/purchase-list";
import { Link } from "../router";
import { account } from "../state";
import type { Wallet } from "../protocol";
import { Coins, Earned } from "../ui/coin";
import { Trouble } from "../ui/trouble";
import { coins } from "../ui/words";
import { Statement } from "./statement";
import { loadWallet, wallet, walletProblem } from "./wallet-state";

/** What one has, how to get more, and what became of every coin. */
export function WalletPage() {
  const has = wallet.value;
  const isGuest = account.value?.is_guest === true;
  return (
    <div class="page wallet">
      <h1>Wallet</h1>
      <p class="quiet">Coins are for gifts. Every one that comes or goes is listed below.</p>
      {isGuest && <GuestNotice />}
      {has !== null && <DebtNotice has={has} />}
      {has === null && walletProblem.value !== null && <Trouble words={walletProblem.value} retry={() => void loadWallet()} />}
      {(has !== null || walletProblem.value === null) && <Balances has={has} />}
      <Packs mayBuy={!isGuest} />
      {!isGuest && <PurchaseList />}
      <Statement />
    </div>
  );
}

function GuestNotice() {
  return (
    <div class="notice notice-row">
      <p>Buying coins needs an account, so that they can not be lost with this browser. Create one here and your wall, follows and chat stay with you.</p>
      <Link class="button primary" href="/create-account">
        Create account
      </Link>
    </div>
  );
}

/** Whoever owes can not spend; the server says so with `is_frozen`. */
function DebtNotice({ has }: { has: Wallet }) {
  if (!has.is_frozen) return null;
  return (
    <p class="notice" role="status">
      <strong>You owe {coins(has.debt)}, and until that is repaid you can not send gifts.</strong> A payment went back to your bank after its coins were spent. Coins that you buy
      repay it first; if a dispute ends in your favour, its coins do so too.
    </p>
  );
}

function Balances({ has }: { has: Wallet | null }) {
  if (has === null) return <div class="balances skeleton" aria-label="Loading your balance" role="status" />;
  return (
    <dl class="balances card">
      <Figure term="You have" testId="balance">
        <Coins value={has.coins} />
      </Figure>
      {has.held_coins > 0 && (
        <Figure term="Waiting for approval" note="Not yours to spend yet" testId="held-coins">
          <Coins value={has.held_coins} />
        </Figure>
      )}
      {has.debt > 0 && (
        <Figure term="You owe" isLoss>
          <Coins value={has.debt} />
        </Figure>
      )}
      <Figure term="Earned from gifts" note="Your share of what people sent you" testId="earnings">
        <Earned value={has.earnings} />
      </Figure>
    </dl>
  );
}

interface FigureProps {
  term: string;
  note?: string;
  testId?: string;
  isLoss?: boolean;
  children: ComponentChildren;
}

function Figure({ term, note, testId, isLoss = false, children }: FigureProps) {
  return (
    <div>
      <dt class="quiet">{term}</dt>
      <dd class={isLoss ? "figure loss" : "figure"} data-testid={testId}>
        {children}
      </dd>
      {note && <dd class="quiet small">{note}</dd>}
    </div>
  );
}
