import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../api";
import { inWords, Refusal } from "../problems";
import { Link, navigate } from "../router";
import { say } from "../status";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dollars } from "../ui/words";

export interface SandboxPayment {
  payment_id: string;
  purchase_id: string;
  amount_cents: number;
  status: string;
}

type Action = "pay" | "confirm" | "fail" | "delay" | "repeat";

const choices: { action: Action; label: string; hint: string }[] = [
  { action: "pay", label: "Pay", hint: "The bank agrees at once." },
  { action: "confirm", label: "Ask for confirmation", hint: "The bank asks the buyer first (3-D Secure), then agrees." },
  { action: "fail", label: "Fail", hint: "The bank refuses; one may try again." },
  { action: "delay", label: "Delay", hint: "On its way for a few seconds, then paid." },
  { action: "repeat", label: "Send the event again", hint: "What was reported last arrives a second time. Nothing may change." },
];

/** `/sandbox/pay/{payment_id}`: stands for a payment provider's page where no money is meant to move. */
export function SandboxPage({ paymentId }: { paymentId: string }) {
  const payment = useSignal<SandboxPayment | null>(null);
  const problem = useSignal<string | null>(null);
  const path = `/api/sandbox/payments/${encodeURIComponent(paymentId)}`;
  const load = (): void => {
    problem.value = null;
    get<SandboxPayment>(path)
      .then((found) => (payment.value = found))
      .catch((error: unknown) => (problem.value = troubleWords(error)));
  };
  useEffect(load, [paymentId]);
  return (
    <div class="page sandbox">
      <p class="sandbox-mark">
        <strong>Sandbox.</strong> No card, no bank, no money: this page only plays a payment provider.
      </p>
      {problem.value && <Trouble words={problem.value} retry={load} />}
      {payment.value === null && !problem.value && <LinesSkeleton label="Loading the payment" lines={4} />}
      {payment.value !== null && <Choices payment={payment.value} path={path} />}
    </div>
  );
}

function troubleWords(error: unknown): string {
  const isNothing = error instanceof Refusal && (error.code === "not_found" || error.code === "sandbox_only");
  return isNothing ? "There is no such payment in the sandbox." : inWords(error);
}

function Choices({ payment, path }: { payment: SandboxPayment; path: string }) {
  const doing = useSignal<Action | null>(null);
  const problem = useSignal<string | null>(null);
  const act = async (action: Action): Promise<void> => {
    doing.value = action;
    problem.value = null;
    try {
      await post(`${path}/${action}`);
      say(done[action]);
      navigate("/wallet");
    } catch (error) {
      problem.value = inWords(error);
    } finally {
      doing.value = null;
    }
  };
  return (
    <section class="card" aria-labelledby="sandbox-title">
      <h1 id="sandbox-title">Pay {dollars(payment.amount_cents)}</h1>
      <p class="quiet small">Payment {payment.payment_id}</p>
      <ul class="sandbox-choices">
        {choices.map(({ action, label, hint }) => (
          <li key={action}>
            <button type="button" class={action === "pay" ? "button primary" : "button"} disabled={doing.value !== null} aria-describedby={`sandbox-${action}`} onClick={() => void act(action)}>
              {label}
            </button>
            <span id={`sandbox-${action}`} class="quiet small">
              {hint}
            </span>
          </li>
        ))}
      </ul>
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <p class="back">
        <Link href="/wallet">Back to the wallet without paying</Link>
      </p>
    </section>
  );
}

const done: Record<Action, string> = {
  pay: "Paid. The coins arrive in a moment.",
  confirm: "Confirmed and paid. The coins arrive in a moment.",
  fail: "The payment failed, as you asked.",
  delay: "On its way. The coins arrive in a few seconds.",
  repeat: "The last event was sent again.",
};
