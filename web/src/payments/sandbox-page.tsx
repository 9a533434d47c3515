import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../api";
import { walletChanges } from "../ledger/wallet-state";
import { inWords, Refusal } from "../problems";
import type { Purchase } from "../protocol";
import { heardPurchase, readPurchase, receiptPath } from "../purchases/buying";
import { Link, navigate } from "../router";
import { say } from "../status";
import { Coins } from "../ui/coin";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dollars } from "../ui/words";
import { choicesFor, isReserved, standing, type Choice, type SandboxPayment } from "./sandbox-choices";

/** `/sandbox/pay/{payment_id}`: stands for a payment provider's page where no money is meant to move. */
export function SandboxPage({ paymentId }: { paymentId: string }) {
  const payment = useSignal<SandboxPayment | null>(null);
  const purchase = useSignal<Purchase | null>(null);
  const problem = useSignal<string | null>(null);
  const path = `/api/sandbox/payments/${encodeURIComponent(paymentId)}`;
  const load = async (): Promise<void> => {
    try {
      const found = await get<SandboxPayment>(path);
      payment.value = found;
      problem.value = null;
      // Whoever knows the address may pay, but what is bought is the buyer's to see.
      if (purchase.value?.id !== found.purchase_id) purchase.value = await readPurchase(found.purchase_id).catch(() => null);
    } catch (error) {
      problem.value = troubleWords(error);
    }
  };
  // It moves by itself, in another tab, or while the line was cut.
  useEffect(() => void load(), [paymentId, heardPurchase.value, walletChanges.value]);
  return (
    <div class="page sandbox">
      <p class="sandbox-mark">
        <strong>Sandbox.</strong> No card, no bank, no money: this page only plays a payment provider.
      </p>
      {problem.value && <Trouble words={problem.value} retry={() => void load()} />}
      {payment.value === null && !problem.value && <LinesSkeleton label="Loading the payment" lines={4} />}
      {payment.value !== null && <Card payment={payment.value} purchase={purchase.value} path={path} moved={(now) => (payment.value = now)} reload={load} />}
      <p class="back">
        <Link href="/wallet">Back to the wallet</Link>
      </p>
    </div>
  );
}

function troubleWords(error: unknown): string {
  const isNothing = error instanceof Refusal && (error.code === "not_found" || error.code === "sandbox_only");
  return isNothing ? "There is no such payment in the sandbox." : inWords(error);
}

interface CardProps {
  payment: SandboxPayment;
  purchase: Purchase | null;
  path: string;
  moved: (now: SandboxPayment) => void;
  reload: () => Promise<void>;
}

function Card({ payment, purchase, path, moved, reload }: CardProps) {
  const isBusy = useSignal(false);
  const problem = useSignal<string | null>(null);
  const act = async (choice: Choice): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      const now = await post<SandboxPayment>(`${path}/${choice.action}`);
      say(choice.said(now));
      if (now.status === "requires_action") moved(now);
      else navigate("/wallet");
    } catch (error) {
      problem.value = hasMovedOn(error) ? "That is not possible any more. This is how the payment stands now." : inWords(error);
      await reload();
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <section class="card" aria-labelledby="sandbox-title">
      <h1 id="sandbox-title">Pay {dollars(payment.amount_cents)}</h1>
      <p class="quiet small numbers">
        {purchase && (
          <>
            <Coins value={purchase.coin_amount} /> ·{" "}
          </>
        )}
        P-{payment.number} · {payment.id}
      </p>
      {isReserved(payment) && <p class="quiet sandbox-status">The amount is only reserved on your card. It is charged after a second person has approved the purchase.</p>}
      <p class="sandbox-status" role="status">
        {standing(payment)} {purchase && payment.status !== "open" && <Link href={receiptPath(purchase.id)}>Open the receipt</Link>}
      </p>
      <ul class="sandbox-choices">
        {choicesFor(payment.status).map((choice, at) => (
          <li key={choice.label}>
            <button type="button" class={at === 0 ? "button primary" : "button"} disabled={isBusy.value} aria-describedby={`sandbox-${choice.action}`} onClick={() => void act(choice)}>
              {choice.label}
            </button>
            <span id={`sandbox-${choice.action}`} class="quiet small">
              {choice.hint}
            </span>
          </li>
        ))}
      </ul>
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
    </section>
  );
}

/** The sandbox says where the payment has gone when an action came too late. */
const hasMovedOn = (error: unknown): boolean => error instanceof Refusal && error.problem.fields?.["status"] !== undefined;
