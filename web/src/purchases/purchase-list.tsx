import { useRef } from "preact/hooks";
import { get } from "../api";
import type { Pages } from "../ledger/paging";
import { ShowOlder } from "../ledger/show-older";
import { usePages } from "../ledger/use-pages";
import { walletChanges } from "../ledger/wallet-state";
import type { Purchase } from "../protocol";
import { Link } from "../router";
import { account } from "../state";
import { Coins } from "../ui/coin";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dateAndTime } from "../ui/words";
import { heardPurchase, receiptPath } from "./buying";
import { numberOf, priceOf, purchaseWords } from "./purchase-words";
import { Unpaid } from "./unpaid";

const pageSize = 5;

async function read(before: number | null): Promise<Pages<Purchase, number>> {
  const from = before === null ? "" : `&before=${before}`;
  const page = await get<{ purchases: Purchase[]; next: number | null }>(`/api/purchases?limit=${pageSize}${from}`);
  return { entries: page.purchases, next: page.next };
}

/** What one bought, and what state each purchase is in. */
export function PurchaseList() {
  const list = usePages({ read, keyOf: (purchase) => purchase.id, doChange: true }, account.value?.profile.id ?? "", [walletChanges.value, heardPurchase.value]);
  const pages = list.pages.value;
  return (
    <section class="card" aria-labelledby="purchases-title">
      <h2 id="purchases-title" class="card-title">
        Purchases
      </h2>
      {list.problem.value && <Trouble words={list.problem.value} retry={list.retry} />}
      {pages === null && !list.problem.value && <LinesSkeleton label="Loading your purchases" />}
      {pages?.entries.length === 0 && <p class="quiet">You have bought nothing yet. Choose a pack above.</p>}
      <ul class="purchases" data-testid="purchases">
        {pages?.entries.map((purchase) => (
          <Row key={purchase.id} purchase={purchase} />
        ))}
      </ul>
      <ShowOlder list={list} />
    </section>
  );
}

function Row({ purchase }: { purchase: Purchase }) {
  const { state, text, stage } = purchaseWords(purchase);
  const standing = useRef<HTMLParagraphElement>(null);
  return (
    <li class="purchase" data-status={purchase.status}>
      <div class="purchase-what">
        <Link href={receiptPath(purchase.id)}>
          <Coins value={purchase.coin_amount} /> for <span class="numbers">{priceOf(purchase)}</span>
        </Link>
        <span class="quiet small numbers">
          {numberOf(purchase)} · {dateAndTime(purchase.created_at)}
        </span>
      </div>
      <p class="purchase-state" tabIndex={-1} ref={standing}>
        <strong class={`stage-${stage}`}>{state}</strong>
        <span class="quiet small">{stage === "done" ? "" : text}</span>
      </p>
      <Unpaid purchase={purchase} goOnAt={standing} />
    </li>
  );
}
