type Status = "open" | "requires_action" | "processing" | "authorized" | "captured" | "canceled";
type Action = "pay" | "confirm" | "fail" | "delay" | "repeat";

export interface SandboxPayment {
  id: string;
  purchase_id: string;
  number: number;
  amount_cents: number;
  capture: "automatic" | "manual";
  status: Status;
  last_error: string | null;
}

export interface Choice {
  action: Action;
  label: string;
  hint: string;
  /** What to say once it is done, by what has come of it. */
  said: (now: SandboxPayment) => string;
}

const paid = ({ status }: SandboxPayment): string =>
  status === "authorized" ? "The amount is reserved, not charged. A second person decides now." : "Paid. Your wallet follows in a moment.";

const onItsWay = ({ capture }: SandboxPayment): string =>
  capture === "manual" ? "On its way. A second person decides once it has arrived." : "On its way. Your wallet follows in a few seconds.";

const again: Choice = { action: "repeat", label: "Send the event again", hint: "What was reported last arrives a second time. Nothing may change.", said: () => "The last event was sent again." };

const toPay: readonly Choice[] = [
  { action: "pay", label: "Pay", hint: "The bank agrees at once.", said: paid },
  { action: "confirm", label: "Ask for confirmation", hint: "The bank asks the buyer first (3-D Secure).", said: () => "The bank asks for your confirmation." },
  { action: "fail", label: "Fail", hint: "The bank refuses; one may try again.", said: () => "The payment failed, as you asked." },
  { action: "delay", label: "Delay", hint: "On its way for a few seconds, then paid.", said: onItsWay },
  again,
];

const toConfirm: readonly Choice[] = [
  { action: "confirm", label: "Yes, it is me", hint: "The bank agrees.", said: (now) => `Confirmed. ${paid(now)}` },
  { action: "fail", label: "No, refuse it", hint: "The payment fails; one may try again.", said: () => "You refused the payment." },
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

export function choicesFor(status: Status): readonly Choice[] {
  if (status === "open") return toPay;
  return status === "requires_action" ? toConfirm : [again];
}

/** How the payment stands; a refusal leaves it open, so it is told beside that. */
export function standing({ status, last_error }: SandboxPayment): string {
  return status === "open" && last_error !== null ? "The bank refused the payment. Nothing is paid yet; you may try again." : statusWords[status];
}

/** While it can still be paid: a second person decides about it. */
export const willOnlyReserve = ({ status, capture }: SandboxPayment): boolean => capture === "manual" && choicesFor(status).length > 1;
