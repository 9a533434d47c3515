import { useSignal } from "@preact/signals";
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
import { useReading } from "../use-reading";
import { choicesFor, standing, willOnlyReserve, type Choice, type SandboxPayment } from "./sandbox-choices";

interface Shown {
  payment: SandboxPayment;
  purchase: Purchase | null;
}

/** `/sandbox/pay/{payment_id}`: stands for a payment provider's page where no money is meant to move. */
export function SandboxPage({ paymentId }: { paymentId: string }) {
  const path = `/api/sandbox/payments/${encodeURIComponent(paymentId)}`;
  // It moves by itself, in another tab, or while the line was cut.
  const { found, problem, refresh } = useReading({ read: () => read(path), words }, paymentId, [heardPurchase.value, walletChanges.value]);
  return (
    <div class="page sandbox">
      <p class="sandbox-mark">
        <strong>Sandbox.</strong> No card, no bank, no money: this page only plays a payment provider.
      </p>
      {problem.value && <Trouble words={problem.value} retry={() => void refresh()} />}
      {found.value === null && !problem.value && <LinesSkeleton label="Loading the payment" lines={4} />}
      {found.value !== null && <Card {...found.value} path={path} reload={refresh} />}
      <p class="back">
        <Link href="/wallet">Back to the wallet</Link>
      </p>
    </div>
  );
}

/** Whoever knows the address may pay, but what is bought is the buyer's to see. */
async function read(path: string): Promise<Shown> {
  const payment = await get<SandboxPayment>(path);
  return { payment, purchase: await readPurchase(payment.purchase_id).catch(() => null) };
}

function words(error: unknown): string {
  const isNothing = error instanceof Refusal && (error.code === "not_found" || error.code === "sandbox_only");
  return isNothing ? "There is no such payment in the sandbox." : inWords(error);
}

interface CardProps extends Shown {
  path: string;
  reload: () => Promise<void>;
}

function Card({ payment, purchase, path, reload }: CardProps) {
  const isBusy = useSignal(false);
  const problem = useSignal<string | null>(null);
  const act = async (choice: Choice): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      const now = await post<SandboxPayment>(`${path}/${choice.action}`);
      say(choice.said(now));
      if (now.status === "requires_action") await reload();
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
      {willOnlyReserve(payment) && <p class="quiet sandbox-status">The amount is only reserved on your card. It is charged after a second person has approved the purchase.</p>}
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
