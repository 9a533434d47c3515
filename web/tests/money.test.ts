import { describe, expect, test } from "vitest";
import { intents } from "../src/idempotency";
import { aboutWords, detailsOf, nobodyToShow } from "../src/ledger/audit-words";
import { readShown, withNewest, withOlder, type Pages } from "../src/ledger/paging";
import { entryWords, receiptOf, signed } from "../src/ledger/statement-words";
import { obstacle } from "../src/gifts/obstacle";
import { broughtSince } from "../src/gifts/tonight-facts";
import { offline, Refusal } from "../src/problems";
import { choicesFor, standing, type SandboxPayment } from "../src/payments/sandbox-choices";
import type { AuditEntry, HeldPurchase, Purchase, PurchaseStatus, PurchaseSettings, StatementEntry, Wallet } from "../src/protocol";
import { consequence, countries, decisionLimit, history, money, timeLeft } from "../src/purchases/held-facts";
import { priceOf, purchaseWords } from "../src/purchases/purchase-words";
import { centsOf, changesOf, draftOf, fieldProblem, thresholdHint, type Draft } from "../src/purchases/settings-draft";
import { amountIn, brief, coins, dateAndExactTime, dateAndTime, dollars } from "../src/ui/words";

const refusal = (status: number, code = "some_code") => new Refusal({ type: "", title: "", status, code });

test("money is exact to the cent and coins are counted in words", () => {
  expect([99, 2_500_000, 2_500_001, 5_000_000, 1].map(dollars)).toEqual(["$0.99", "$25,000.00", "$25,000.01", "$50,000.00", "$0.01"]);
  expect([0, 1, 1240, 2_275_000].map(coins)).toEqual(["0 coins", "1 coin", "1,240 coins", "2,275,000 coins"]);
  expect([1240, 99_999, 2_276_240].map(brief)).toEqual(["1,240", "99,999", "2.3M"]);
  expect([amountIn("usd", 333), amountIn("jpy", 9990)]).toEqual(["$3.33", "JPY 9,990 (smallest unit)"]);
  expect([500, -10, 1_750_000].map(signed)).toEqual(["+500", "−10", "+1,750,000"]);
});

test("a moment is written in one way wherever the reader lives", () => {
  const evening = new Date(2026, 10, 25, 21, 5, 7).getTime();
  expect([dateAndTime, dateAndExactTime].map((words) => words(evening))).toEqual(["25 Nov 2026, 21:05", "25 Nov 2026, 21:05:07"]);
});

describe("an idempotency key", () => {
  test("is kept after an answer that leaves it open, and new after one that does not", () => {
    const wanted = intents();
    const first = wanted.keyFor("pack");
    // What is no refusal is an answer that ended in its middle: the server has acted.
    for (const uncertain of [offline(), refusal(500), refusal(503), new TypeError("terminated"), new SyntaxError("Unexpected end of JSON input")]) {
      wanted.settle("pack", uncertain);
      expect(wanted.keyFor("pack")).toBe(first);
    }
    wanted.settle("pack", refusal(429));
    const second = wanted.keyFor("pack");
    expect(second).not.toBe(first);
    wanted.settle("pack", refusal(502, "provider_refused"));
    const third = wanted.keyFor("pack");
    expect(third).not.toBe(second);
    wanted.settle("pack");
    expect(wanted.keyFor("pack")).not.toBe(third);
  });

  test("belongs to one wish, and is a UUID", () => {
    const wanted = intents();
    expect(wanted.keyFor("rose ana")).not.toBe(wanted.keyFor("rose kofi"));
    expect(wanted.keyFor("rose ana")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe("a statement in pages", () => {
  const page = (from: number, to: number, next: string | null): Pages<number, string> => ({
    entries: Array.from({ length: from - to + 1 }, (_, at) => from - at),
    next,
  });
  const keyOf = String;

  test("older lines follow without a repetition", () => {
    expect(withOlder(page(9, 5, "a"), page(6, 2, "b"), keyOf)).toEqual(page(9, 2, "b"));
  });

  test("newer lines come on top, and what was read below stays", () => {
    expect(withNewest(page(9, 2, "b"), page(11, 7, "c"), keyOf)).toEqual(page(11, 2, "b"));
    expect(withNewest(page(9, 2, null), page(9, 7, "c"), keyOf)).toEqual(page(9, 2, null));
  });

  test("where lines change, all that is shown is read anew", async () => {
    const asked: (string | null)[] = [];
    const read = async (from: string | null): Promise<Pages<number, string>> => {
      asked.push(from);
      return from === null ? page(11, 7, "7") : from === "7" ? page(6, 2, "2") : page(1, 1, null);
    };
    expect(await readShown(read, keyOf, 8)).toEqual(page(11, 2, "2"));
    expect(asked).toEqual([null, "7"]);
    expect(await readShown(read, keyOf, 0)).toEqual(page(11, 7, "7"));
    expect(await readShown(read, keyOf, 99)).toEqual(page(11, 1, null));
  });

  test("with a gap in between, nothing stands where lines are missing", () => {
    expect(withNewest(page(4, 1, null), page(11, 7, "c"), keyOf)).toEqual(page(11, 7, "c"));
  });
});

const entry = (more: Partial<StatementEntry>): StatementEntry => ({
  transaction_id: 1,
  kind: "gift",
  amount: -500,
  balance: 740,
  created_at: "2026-11-25T21:00:00Z",
  source_id: "source",
  counterpart: { id: "1", name: "ana", display_name: "Ana" },
  title: "Aurora",
  ...more,
});

test("every line of a statement says what happened and with whom", () => {
  expect(entryWords(entry({}), "coins")).toBe("Aurora for Ana");
  expect(entryWords(entry({ amount: 350 }), "earnings")).toBe("Aurora from Ana");
  expect(entryWords(entry({ kind: "opening", title: "" }), "coins")).toBe("Brought along from before this ledger began");
  expect(entryWords(entry({ counterpart: null }), "earnings")).toBe("Aurora from somebody who has left");
  for (const kind of ["purchase", "hold", "refund", "refund_failed", "dispute", "dispute_won"]) {
    const line = entry({ kind, title: "P-7", counterpart: null });
    expect(entryWords(line, "coins")).toMatch(/^Coins .*P-7/);
    expect(receiptOf(line)).toBe("/wallet/purchases/source");
  }
  expect(entryWords(entry({ kind: "from_the_future", title: "P-7" }), "coins")).toBe("P-7");
  expect(receiptOf(entry({}))).toBeNull();
});

describe("what a session brought", () => {
  const at = (minute: number, amount: number, kind = "gift") =>
    entry({ transaction_id: minute, kind, amount, created_at: `2026-11-25T21:${String(minute).padStart(2, "0")}:00Z` });
  const since = "2026-11-25T21:10:00Z";

  test("is its gifts, not what came before or what is no gift", () => {
    const entries = [at(30, 350), at(20, 7), at(15, -100, "payout"), at(5, 3500)];
    expect(broughtSince(since, { entries, next: "older" })).toEqual({ earned: 357, gifts: 2, isAll: true });
  });

  test("is at least so much while older gifts of it are not read", () => {
    expect(broughtSince(since, { entries: [at(30, 350)], next: "older" })).toEqual({ earned: 350, gifts: 1, isAll: false });
    expect(broughtSince(since, { entries: [], next: null })).toEqual({ earned: 0, gifts: 0, isAll: true });
  });
});

const purchase = (status: PurchaseStatus, more: Partial<Purchase> = {}): Purchase => ({
  id: "p",
  number: 20418,
  status,
  is_being_canceled: false,
  coin_pack_id: "coins_2275000",
  platform: "web",
  payment_provider: "sandbox",
  provider_payment_id: null,
  coin_amount: 2_275_000,
  usd_cents: 3_250_000,
  requires_approval: true,
  hold_reason: null,
  decide_by: null,
  created_at: "2026-11-25T21:00:00Z",
  completed_at: null,
  currency: "usd",
  authorized_cents: 3_250_000,
  captured_cents: 0,
  paid_coins: 0,
  repaid_coins: 0,
  refunded_cents: 0,
  refunded_coins: 0,
  disputed_cents: 0,
  ...more,
});

describe("a purchase in words", () => {
  test("one that its buyer gave up waits for the provider, and not for them", () => {
    const { state, text, stage } = purchaseWords(purchase("pending", { is_being_canceled: true }));
    expect([state, stage]).toEqual(["Being cancelled", "open"]);
    expect(text).toContain("not charged, unless you have paid already");
  });

  test("a large one is held, and says why and that nothing is charged", () => {
    const { state, text } = purchaseWords(purchase("held"));
    expect(state).toBe("Held for approval");
    expect(text).toContain("are checked by a second person. Your card is not charged before that.");
  });

  test.each([null, "amount_mismatch"])("held for %s, money that arrived is not said to be uncharged, nor the other way round", (hold_reason) => {
    const here = purchaseWords(purchase("held", { captured_cents: 333, hold_reason })).text;
    expect(here).toContain("goes back to your card");
    expect(here).not.toContain("not charged");
    expect(purchaseWords(purchase("held", { hold_reason })).text).toContain("Your card is not charged before that.");
  });

  test.each([null, "amount_mismatch"])("of what was held for %s, only what was taken is said to come back", (hold_reason) => {
    expect(purchaseWords(purchase("rejected", { hold_reason })).text).toContain("not charged");
    expect(purchaseWords(purchase("rejected", { hold_reason, captured_cents: 333 })).text).toContain("goes back");
    const back = { hold_reason, captured_cents: 3_250_000, refunded_cents: 3_250_000 };
    expect(purchaseWords(purchase("rejected", back)).text).toContain("$32,500.00 went back");
  });

  test("amounts are those that moved, in what they moved in", () => {
    expect(purchaseWords(purchase("completed", { captured_cents: 333, paid_coins: 233 })).text).toBe("233 coins went into your wallet.");
    expect(purchaseWords(purchase("approved", { authorized_cents: 333 })).text).toContain("$3.33 is being charged");
    const yen = { currency: "jpy", captured_cents: 5000, refunded_cents: 5000 };
    expect(purchaseWords(purchase("rejected", yen)).text).toContain("JPY 5,000 (smallest unit) went back");
    expect(priceOf(purchase("held", yen))).toBe("$32,500.00");
    expect(priceOf(purchase("held", { ...yen, coin_pack_id: null }))).toBe("JPY 5,000 (smallest unit)");
  });

  test("coins that repaid a debt are not said to be in the wallet", () => {
    const told = (repaid_coins: number) => purchaseWords(purchase("completed", { paid_coins: 2_275_000, repaid_coins })).text;
    expect(told(4_900)).toBe("4,900 coins repaid what you owed. The other 2,270,100 coins went into your wallet.");
    expect(told(2_275_000)).toBe("2,275,000 coins repaid what you owed. None was left for your wallet.");
  });

  test("a part refunded is told with both amounts", () => {
    const words = purchaseWords(purchase("completed", { refunded_cents: 100, refunded_coins: 70 }));
    expect(words).toMatchObject({ state: "Refunded in part", stage: "over" });
    expect(words.text).toBe("$1.00 went back to your card, and 70 coins were taken back.");
  });

  test("every state has words of its own", () => {
    const all: PurchaseStatus[] = ["created", "processing", "held", "approved", "completed", "rejected", "expired", "canceled", "failed", "refunded", "disputed", "dispute_lost"];
    expect(new Set(all.map((status) => purchaseWords(purchase(status)).state)).size).toBe(all.length);
  });
});

describe("the sandbox", () => {
  const payment = (more: Partial<SandboxPayment>): SandboxPayment => ({ id: "sbp", purchase_id: "p", number: 1, amount_cents: 99, capture: "automatic", status: "open", last_error: null, ...more });
  const said = (label: string, now: Partial<SandboxPayment>) => choicesFor("open").find((choice) => choice.label === label)?.said(payment(now));

  test("says what has come of it: what is reserved is not paid", () => {
    expect(said("Pay", { status: "captured" })).toContain("Paid.");
    expect(said("Pay", { status: "authorized" })).toBe("The amount is reserved, not charged. A second person decides now.");
    expect(said("Delay", { status: "processing", capture: "manual" })).not.toContain("wallet");
  });

  test("a refusal is told while one may try again", () => {
    expect(standing(payment({ last_error: "card_declined" }))).toContain("The bank refused the payment.");
    expect(standing(payment({}))).toBe("Nothing is paid yet.");
    expect(standing(payment({ status: "captured" }))).toBe("This is paid.");
  });
});

describe("a gift", () => {
  const wallet = (more: Partial<Wallet>): Wallet => ({ coins: 70, debt: 0, is_frozen: false, held_coins: 0, earnings: 0, ...more });
  const crown = { id: "crown", title: "Crown", emoji: "👑", price: 5000 };

  test("that costs more than one has is said to, but not while that is unknown", () => {
    expect(obstacle(crown, wallet({}))?.words).toBe("Crown costs 5,000 coins, and you have 70 coins.");
    expect(obstacle(crown, wallet({ debt: 50, is_frozen: true }))?.words).toContain("You owe 50 coins");
    expect([obstacle(crown, wallet({ coins: 5000 })), obstacle(crown, null)]).toEqual([null, null]);
  });
});

describe("what finance sees before deciding", () => {
  const now = Date.parse("2026-11-25T21:00:00Z");
  const held = (more: Partial<HeldPurchase>) => ({ card_country: null, country_code: null, ...more }) as HeldPurchase;

  test.each([
    ["2026-11-30T03:20:00Z", "4 d 06 h", false],
    ["2026-11-26T21:00:00Z", "1 d 00 h", false],
    ["2026-11-26T20:59:59Z", "23 h", true],
    ["2026-11-25T21:45:00Z", "45 min", true],
    ["2026-11-25T21:00:10Z", "1 min", true],
    ["2026-11-25T20:59:00Z", "too late", true],
  ])("decide by %s: %s, amber %s", (by, words, isNotable) => {
    expect(timeLeft(by, now)).toEqual({ words, isNotable });
  });

  const waiting = (more: Partial<Purchase>, coins_if_approved: number) =>
    ({ purchase: purchase("held", { coin_amount: 700, usd_cents: 999, authorized_cents: 999, ...more }), buyer: { id: "1", name: "ada", display_name: "Ada" }, coins_if_approved }) as HeldPurchase;

  test("money and coins are those that came, not those that were ordered", () => {
    const less = waiting({ captured_cents: 333 }, 233);
    expect(money(less)).toBe("has arrived; ordered for $9.99");
    expect(consequence(less, "approve")).toBe("$3.33 has arrived; Ada gets 233 coins. Ordered were 700 coins for $9.99.");
    expect(consequence(less, "reject")).toBe("$3.33 goes back to the card of Ada. No coins are credited.");
    const set = waiting({}, 700);
    expect(money(set)).toBe("not charged yet");
    expect(consequence(set, "approve")).toBe("The card of Ada is charged $9.99; once that has succeeded, they get 700 coins.");
    expect(consequence(set, "reject")).toBe("The card of Ada is not charged, and no coins are credited.");
    expect(consequence(waiting({ captured_cents: 999, refunded_cents: 333 }, 467), "reject")).toContain("$6.66 goes back");
  });

  test("a decision that can not be made is not offered, with the reason", () => {
    const limit = (may_decide: boolean, may_approve: boolean, buyer: object | null = {}) =>
      decisionLimit({ may_decide, may_approve, buyer } as HeldPurchase);
    expect(limit(true, true)).toBeNull();
    expect(limit(true, false)).toContain("in dollars only");
    expect(limit(true, false, null)).toContain("The buyer has left");
    expect(limit(false, false)).toContain("Your own purchase");
  });

  test("yen are not dollars", () => {
    const yen = waiting({ currency: "jpy", captured_cents: 999 }, 0);
    expect(money(yen)).toBe("has arrived; ordered for $9.99");
    expect(consequence(yen, "reject")).toBe("JPY 999 (smallest unit) goes back to the card of Ada. No coins are credited.");
    expect(money(waiting({ currency: "jpy", captured_cents: 999, coin_pack_id: null }, 0))).toBe("has arrived");
  });

  test("a card from elsewhere and a first purchase stand out", () => {
    expect(countries(held({ card_country: "US", country_code: "NG" }))).toEqual({ words: "US → NG", isNotable: true });
    expect(countries(held({ card_country: "PT", country_code: "PT" })).isNotable).toBe(false);
    expect(countries(held({ card_country: "PT" }))).toEqual({ words: "PT → ?", isNotable: false });
    expect(history(held({ history: { purchases: 0, refunds: 0, disputes: 0 } }))).toEqual({ words: "first purchase", isNotable: true });
    expect(history(held({ history: { purchases: 3, refunds: 0, disputes: 0 } })).words).toBe("3 purchases, 0 disputes");
    expect(history(held({ history: { purchases: 41, refunds: 1, disputes: 0 } })).words).toBe("41 purchases, 1 refund");
  });
});

test("somebody who has left is not taken for the system in the audit log", () => {
  const by = (actor_id: string | null) => nobodyToShow({ actor: null, actor_id } as AuditEntry);
  expect([by("1"), by(null)]).toEqual(["Somebody who has left", "Livewall itself"]);
});

describe("the audit log speaks as people do", () => {
  const said = (subject: string, details: AuditEntry["details"]) => {
    const entry = { subject, details } as AuditEntry;
    return [aboutWords(entry).words, ...detailsOf(entry).map(({ label, words }) => `${label} ${words}`)];
  };

  test("of a decision: the purchase as everybody calls it, and money with its currency", () => {
    const decided = { number: 7, usd_amount: 32500, buyer_id: "a-person", reason: "Called them" };
    expect(said("an-id", decided)).toEqual(["P-7", "reason Called them", "price $32,500.00"]);
    expect(said("an-id", { reason: "Asked for it", usd_cents: 333, number: 4 })).toEqual(["P-4", "reason Asked for it", "amount $3.33"]);
    expect(said("an-id", { reason: "Asked for it", amount_cents: 333, currency: "usd", number: 4 })).toEqual(["P-4", "reason Asked for it", "amount $3.33"]);
    expect(said("an-id", { refund_id: "re_1", amount_cents: 999, currency: "jpy" })).toEqual([null, "refund id re_1", "amount JPY 999 (smallest unit)"]);
    expect(said("an-id", { call: "refund", error: "No.", amount_cents: 9990 })).toEqual([null, "call refund", "error No.", "amount 9,990 (smallest unit)"]);
    expect(aboutWords({ subject: "an-id", details: {} } as AuditEntry)).toEqual({ words: null, id: "an-id" });
  });

  test("of settings: what has changed, and nothing else", () => {
    const before = { purchase_limit: 50000, approval_threshold: 25000, daily_threshold: null, purchases_per_minute: 5, streamer_share_percent: 70, to_come: 1 };
    const after = { ...before, approval_threshold: 5.1, daily_threshold: 40000, streamer_share_percent: 75, to_come: 2 };
    expect(said("money_settings", { before, after, reason: null })).toEqual([
      "Settings",
      "approval over $25,000.00 → $5.10",
      "approval over, within 24 hours none → $40,000.00",
      "streamer's share 70 % → 75 %",
      "to come 1 → 2",
    ]);
  });
});

describe("settings about money", () => {
  const inForce = { limit_cents: 5_000_000, threshold_cents: 2_500_000, daily_threshold_cents: null };
  const settings: PurchaseSettings = { ...inForce, velocity: 5, streamer_share_percent: 70, raises_apply_at: null, in_force: inForce };

  test("amounts are read without a fraction of a cent, or not at all", () => {
    expect(["25000", "25,000.00", "$0.1", " 19.99 "].map(centsOf)).toEqual([2_500_000, 2_500_000, 10, 1999]);
    expect(["", "-1", "1.999", "1e5", "2,50.00", "NaN"].map(centsOf)).toEqual([null, null, null, null, null, null]);
  });

  test("only what differs is sent, and nothing while a field is wrong", () => {
    const draft = draftOf(settings);
    expect(changesOf(settings, draft)).toEqual({});
    expect(changesOf(settings, { ...draft, threshold: "10000.00", daily: "100000" })).toEqual({ threshold_cents: 1_000_000, daily_threshold_cents: 10_000_000 });
    expect(changesOf({ ...settings, daily_threshold_cents: 5 }, draft)).toEqual({ daily_threshold_cents: null });
    expect(changesOf(settings, { ...draft, share: "seventy" })).toBeNull();
    expect(changesOf(settings, { ...draft, daily: "much" })).toBeNull();
    expect(changesOf(settings, { ...draft, share: "101" })).toBeNull();
  });

  test("each field says its range, and an empty one is right only where that means something", () => {
    const told = (more: Partial<Draft>, name: keyof Draft) => fieldProblem(name, { ...draftOf(settings), ...more });
    expect(told({ share: "150" }, "share")).toBe("Write a whole number from 0 to 100.");
    for (const velocity of ["0", "abc", "", "1.5", "1000001"]) expect(told({ velocity }, "velocity")).toBe("Write a whole number from 1 to 1,000,000.");
    for (const limit of ["0", "999,999,999", ""]) expect(told({ limit }, "limit")).toBe("Write an amount from $0.01 to $99,999,999.99, such as 25000.00.");
    expect([told({ daily: "" }, "daily"), told({ threshold: "0" }, "threshold"), told({ share: "0" }, "share")]).toEqual([null, null, null]);
  });

  test("a threshold that nothing can exceed is told, not refused", () => {
    const told = (more: Partial<Draft>) => thresholdHint({ ...draftOf(settings), ...more });
    expect(told({ limit: "10", threshold: "20" })).toBe("No purchase can be larger than $10.00, so none waits for a second person for its size alone. What is raised here counts 24 hours later.");
    expect(told({ limit: "10", threshold: "10", daily: "5" })).toContain("for its size alone, only with others of the same 24 hours.");
    expect([told({}), told({ limit: "much" })]).toEqual([null, null]);
  });
});
