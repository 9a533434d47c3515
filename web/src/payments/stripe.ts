/** The little of Stripe.js that the page for cards uses. Loaded there and nowhere else. */
export interface Stripe {
  elements: (options: { clientSecret: string; appearance: { theme: "night" | "stripe" } }) => StripeElements;
  confirmPayment: (options: { elements: StripeElements; confirmParams: { return_url: string } }) => Promise<{ error?: { message?: string } }>;
}

interface StripeElements {
  create: (kind: "payment") => StripeElement;
}

interface StripeElement {
  mount: (on: HTMLElement) => void;
  on: (event: "ready" | "loaderror", handle: () => void) => void;
}

declare global {
  interface Window {
    Stripe?: (publishableKey: string) => Stripe;
  }
}

const address = "https://js.stripe.com/v3/";

export function loadStripe(publishableKey: string): Promise<Stripe> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => {
      if (window.Stripe) resolve(window.Stripe(publishableKey));
      else reject(new Error("Stripe.js did not start"));
    };
    script.onerror = () => reject(new Error("Stripe.js can not be reached"));
    document.head.append(script);
  });
}
