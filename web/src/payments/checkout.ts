import type { Checkout, Purchase } from "../protocol";
import { navigate } from "../router";

/** What the page for cards needs to know. That page is loaded anew and left by loading another, so that
 * Stripe's script runs beside nothing else; so this waits in the tab's storage, and is in no address. */
export interface CardPayment {
  purchase: Purchase;
  client_secret: string;
  publishable_key: string;
}

const key = "livewall.card-payment";

/** Goes to where the purchase is paid. */
export function beginCheckout(checkout: Checkout, purchase: Purchase): void {
  if (checkout.kind === "stripe") {
    const { client_secret, publishable_key } = checkout;
    sessionStorage.setItem(key, JSON.stringify({ purchase, client_secret, publishable_key } satisfies CardPayment));
    location.assign("/pay");
    return;
  }
  const to = new URL(checkout.url, location.href);
  if (to.origin === location.origin) navigate(to.pathname);
  else location.assign(to);
}

export function cardPayment(): CardPayment | null {
  const stored = sessionStorage.getItem(key);
  return stored === null ? null : (JSON.parse(stored) as CardPayment);
}
