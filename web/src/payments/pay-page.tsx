import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { receiptPath } from "../purchases/buying";
import { numberOf } from "../purchases/purchase-words";
import { Link } from "../router";
import { Coins } from "../ui/coin";
import { dollars } from "../ui/words";
import { cardPayment, type CardPayment } from "./checkout";
import { loadStripe, type Stripe } from "./stripe";

/** `/pay`: the card form, which Stripe draws, so that no card number ever passes through here. */
export function PayPage() {
  const payment = cardPayment();
  if (payment === null) {
    return (
      <div class="page empty-page">
        <h1>Nothing to pay here</h1>
        <p class="quiet">Choose coins in your wallet first.</p>
        <Link class="button primary" href="/wallet">
          To the wallet
        </Link>
      </div>
    );
  }
  return <CardForm payment={payment} />;
}

type State = "loading" | "ready" | "paying" | "broken";

function CardForm({ payment }: { payment: CardPayment }) {
  const state = useSignal<State>("loading");
  const problem = useSignal<string | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const pay = useRef<() => Promise<string | null>>(() => Promise.resolve(null));
  useEffect(() => {
    const broken = (): void => void (state.value = "broken");
    loadStripe(payment.publishable_key)
      .then((stripe) => {
        if (place.current) pay.current = mount(stripe, payment, place.current, () => (state.value = "ready"), broken);
      })
      .catch(broken);
  }, []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    state.value = "paying";
    // Once it is paid, Stripe leads to the receipt; only a refusal comes back here.
    problem.value = await pay.current();
    state.value = "ready";
  };
  const { purchase } = payment;
  return (
    <form class="card narrow-form pay" onSubmit={(event) => void submit(event)}>
      <h1>Pay {dollars(purchase.usd_cents)}</h1>
      <p class="quiet">
        <Coins value={purchase.coin_amount} /> · {numberOf(purchase)}
      </p>
      {purchase.requires_approval && <p class="quiet">Your card is asked to reserve the amount. It is charged only after a second person has approved the purchase.</p>}
      <div ref={place} class="card-form" data-state={state.value} />
      {state.value === "loading" && <p role="status">Loading the card form…</p>}
      {state.value === "broken" && <p role="alert">The card form can not be loaded. Your card is not charged; try again from your wallet in a moment.</p>}
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <div class="button-row">
        <button type="submit" class="button primary" disabled={state.value !== "ready"}>
          {state.value === "paying" ? "Paying…" : `Pay ${dollars(purchase.usd_cents)}`}
        </button>
        <a class="button" href={receiptPath(purchase.id)}>
          Not now
        </a>
      </div>
    </form>
  );
}

/** Draws the card form; gives what pays with it, which answers why it could not. */
function mount(stripe: Stripe, payment: CardPayment, place: HTMLElement, ready: () => void, broken: () => void): () => Promise<string | null> {
  const theme = document.documentElement.dataset["theme"] === "light" ? "stripe" : "night";
  const elements = stripe.elements({ clientSecret: payment.client_secret, appearance: { theme } });
  const form = elements.create("payment");
  form.on("ready", ready);
  form.on("loaderror", broken);
  form.mount(place);
  return async () => {
    const return_url = new URL(receiptPath(payment.purchase.id), location.href).href;
    const { error } = await stripe.confirmPayment({ elements, confirmParams: { return_url } });
    return error === undefined ? null : (error.message ?? "The payment did not go through. Try again, or with another card.");
  };
}
