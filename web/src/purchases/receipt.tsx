import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { walletChanges } from "../ledger/wallet-state";
import { inWords, Refusal } from "../problems";
import type { Purchase } from "../protocol";
import { Link } from "../router";
import { account } from "../state";
import { Coins } from "../ui/coin";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { amountIn, coins, dateAndTime } from "../ui/words";
import { useReading } from "../use-reading";
import { heardPurchase, readPurchase } from "./buying";
import { cameOf, numberOf, priceOf, purchaseWords } from "./purchase-words";
import { Unpaid } from "./unpaid";

/** `/wallet/purchases/{id}`: one purchase, to keep or to print. */
export function ReceiptPage({ id }: { id: string }) {
  const { found: purchase, problem, refresh } = useReading({ read: () => readPurchase(id), words }, id, [walletChanges.value, heardPurchase.value]);
  return (
    <div class="page receipt">
      <p class="back">
        <Link href="/wallet">Wallet</Link>
      </p>
      <h1>{purchase.value ? `Receipt ${numberOf(purchase.value)}` : "Receipt"}</h1>
      {problem.value && <Trouble words={problem.value} retry={() => void refresh()} />}
      {purchase.value === null && !problem.value && <LinesSkeleton label="Loading the receipt" lines={5} />}
      {purchase.value && <Receipt purchase={purchase.value} />}
    </div>
  );
}

function words(error: unknown): string {
  const isNothing = error instanceof Refusal && (error.code === "not_found" || error.code === "invalid_argument");
  return isNothing ? "There is no such purchase of yours." : inWords(error);
}

function Receipt({ purchase }: { purchase: Purchase }) {
  const { state, text, stage } = purchaseWords(purchase);
  const standing = useRef<HTMLParagraphElement>(null);
  return (
    <article class="card" data-testid="receipt" data-status={purchase.status}>
      <p class="receipt-state" role="status" tabIndex={-1} ref={standing}>
        <strong class={`stage-${stage}`}>{state}</strong> {text}
      </p>
      <dl class="facts numbers">
        <Fact term="Bought by">{account.value?.profile.display_name}</Fact>
        <Fact term="Ordered">{dateAndTime(purchase.created_at)}</Fact>
        {purchase.completed_at && <Fact term="Completed">{dateAndTime(purchase.completed_at)}</Fact>}
        <Fact term="Coins">
          <Coins value={purchase.coin_amount} />
        </Fact>
        <Fact term="Price">{priceOf(purchase)}</Fact>
        {purchase.captured_cents > 0 && <Fact term="Paid">{cameOf(purchase)}</Fact>}
        {purchase.refunded_cents > 0 && (
          <Fact term="Refunded">
            {amountIn(purchase.currency, purchase.refunded_cents)}, {coins(purchase.refunded_coins)} taken back
          </Fact>
        )}
        {purchase.disputed_cents > 0 && <Fact term="Disputed">{amountIn(purchase.currency, purchase.disputed_cents)}</Fact>}
        <Fact term="Paid through">{providers[purchase.payment_provider] ?? purchase.payment_provider}</Fact>
        {purchase.provider_payment_id && <Fact term="Payment">{purchase.provider_payment_id}</Fact>}
      </dl>
      <div class="button-row">
        <Unpaid purchase={purchase} goOnAt={standing} />
        <button type="button" class="button" onClick={() => window.print()}>
          Print
        </button>
      </div>
    </article>
  );
}

const providers: Record<string, string> = { stripe: "Stripe", sandbox: "Sandbox (no real money)" };

function Fact({ term, children }: { term: string; children: ComponentChildren }) {
  return (
    <div>
      <dt class="quiet">{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
