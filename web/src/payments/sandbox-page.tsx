import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, post } from "../api";
import { inWords, Refusal } from "../problems";
import { Link, navigate } from "../router";
import { say } from "../status";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dollars } from "../ui/words";

type Status = "open" | "requires_action" | "processing" | "authorized" | "captured" | "canceled";
type Action = "pay" | "confirm" | "fail" | "delay" | "repeat";

interface SandboxPayment {
  id: string;
  number: number;
  amount_cents: number;
  status: Status;
}

interface Choice {
  action: Action;
  label: string;
  hint: string;
  /** What to say once it is done. */
  said: string;
}

const again: Choice = { action: "repeat", label: "Send the event again", hint: "What was reported last arrives a second time. Nothing may change.", said: "The last event was sent again." };

const toPay: readonly Choice[] = [
  { action: "pay", label: "Pay", hint: "The bank agrees at once.", said: "Paid. Your wallet follows in a moment." },
  { action: "confirm", label: "Ask for confirmation", hint: "The bank asks the buyer first (3-D Secure).", said: "The bank asks for your confirmation." },
  { action: "fail", label: "Fail", hint: "The bank refuses; one may try again.", said: "The payment failed, as you asked." },
  { action: "delay", label: "Delay", hint: "On its way for a few seconds, then paid.", said: "On its way. Your wallet follows in a few seconds." },
  again,
];

const toConfirm: readonly Choice[] = [
  { action: "confirm", label: "Yes, it is me", hint: "The bank agrees.", said: "Confirmed and paid. Your wallet follows in a moment." },
  { action: "fail", label: "No, refuse it", hint: "The payment fails; one may try again.", said: "You refused the payment." },
  again,
];

const statusWords: Record<Status, string> = {
  open: "Nothing is paid yet.",
  requires_action: "The bank asks: is it you who pays?",
  processing: "The payment is on its way.",
  authorized: "The amount is reserved on the card, and not charged.",
  captured: "This is paid.",
  canceled: "This payment is cancelled.",
};

function choicesFor(status: Status): readonly Choice[] {
  if (status === "open") return toPay;
  return status === "requires_action" ? toConfirm : [again];
}

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
      {payment.value !== null && <Choices payment={payment.value} path={path} moved={(now) => (payment.value = now)} />}
    </div>
  );
}

function troubleWords(error: unknown): string {
  const isNothing = error instanceof Refusal && (error.code === "not_found" || error.code === "sandbox_only");
  return isNothing ? "There is no such payment in the sandbox." : inWords(error);
}

interface ChoicesProps {
  payment: SandboxPayment;
  path: string;
  moved: (now: SandboxPayment) => void;
}

function Choices({ payment, path, moved }: ChoicesProps) {
  const isBusy = useSignal(false);
  const problem = useSignal<string | null>(null);
  const act = async (choice: Choice): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      const now = await post<SandboxPayment>(`${path}/${choice.action}`);
      say(choice.said);
      if (now.status === "requires_action") moved(now);
      else navigate("/wallet");
    } catch (error) {
      problem.value = inWords(error);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <section class="card" aria-labelledby="sandbox-title">
      <h1 id="sandbox-title">Pay {dollars(payment.amount_cents)}</h1>
      <p class="quiet small numbers">
        P-{payment.number} · {payment.id}
      </p>
      <p class="sandbox-status" role="status">
        {statusWords[payment.status]}
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
      <p class="back">
        <Link href="/wallet">Back to the wallet</Link>
      </p>
    </section>
  );
}
