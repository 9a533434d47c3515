import { signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { GiftTarget } from "../src/gifts/sending";
import type { Pages } from "../src/ledger/paging";
import type { Account, GiftType, Wallet } from "../src/protocol";

/** What was asked for, each with its answer to come. */
interface Call<T> {
  path: string;
  answer: (value: T) => Promise<void>;
  fail: (error: unknown) => Promise<void>;
}

const handlers = new Map<string, () => void>();
let problems: typeof import("../src/problems");

/** Lets everything that an answer sets off be done. */
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

function asked<T>(): { calls: Call<T>[]; read: (path?: unknown) => Promise<T> } {
  const calls: Call<T>[] = [];
  const read = (path?: unknown): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      calls.push({
        path: `${path}`,
        answer: async (value) => (resolve(value), void (await settled())),
        fail: async (error) => (reject(error), void (await settled())),
      });
    });
  return { calls, read };
}

function nth<T>(calls: readonly T[], at: number): T {
  const call = calls[at];
  if (call === undefined) throw new Error(`There were ${calls.length} calls.`);
  return call;
}

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubGlobal("window", Object.assign(new EventTarget(), { setTimeout, clearTimeout }));
  vi.doMock("../src/socket", () => ({ on: (type: string, handle: () => void) => handlers.set(type, handle) }));
  vi.resetModules();
  problems = await import("../src/problems");
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.doUnmock("../src/api");
});

describe("what is read again and again", () => {
  async function begin() {
    const { reading } = await import("../src/reading");
    const { calls, read } = asked<string>();
    const shown = signal<string | null>(null);
    const problem = signal<string | null>(null);
    return { ...reading(read, { take: (found) => (shown.value = found), problem }), calls, shown, problem };
  }

  test("an answer that was overtaken is not shown", async () => {
    const { refresh, calls, shown } = await begin();
    void refresh();
    void refresh();
    await nth(calls, 1).answer("new");
    await nth(calls, 0).answer("old");
    expect(shown.value).toBe("new");
  });

  test("on a slow line every answer that comes in order is shown, however many are on their way", async () => {
    const { refresh, calls, shown } = await begin();
    for (let at = 0; at < 3; at++) void refresh();
    await nth(calls, 0).answer("first");
    expect(shown.value).toBe("first");
    await nth(calls, 2).answer("third");
    await nth(calls, 1).fail(problems.offline());
    expect(shown.value).toBe("third");
  });

  test("what failed last is told and tried again, whatever older answer comes after it", async () => {
    const { refresh, calls, shown, problem } = await begin();
    void refresh();
    void refresh();
    await nth(calls, 1).fail(problems.offline());
    await nth(calls, 0).answer("old");
    expect([shown.value, problem.value === null]).toEqual([null, false]);
    await vi.advanceTimersByTimeAsync(1000);
    await nth(calls, 2).answer("new");
    expect([shown.value, problem.value]).toEqual(["new", null]);
  });

  test("once nobody looks any more nothing is heard, told or tried again", async () => {
    const { refresh, end, calls, shown, problem } = await begin();
    void refresh();
    void refresh();
    end();
    await nth(calls, 0).fail(problems.offline());
    await nth(calls, 1).answer("late");
    void refresh();
    await vi.advanceTimersByTimeAsync(300_000);
    window.dispatchEvent(new Event("online"));
    expect([shown.value, problem.value, calls.length]).toEqual([null, null, 2]);
  });
});

describe("a list in pages", () => {
  type Page = Pages<number, number>;
  const page = (...entries: number[]): Page => ({ entries, next: entries.at(-1) === 1 ? null : (entries.at(-1) ?? null) });

  async function begin(doChange: boolean) {
    const { pagedList } = await import("../src/ledger/paged-list");
    const { calls, read } = asked<Page>();
    return { list: pagedList<number, number>({ read, keyOf: String, doChange }), calls };
  }

  test.each([true, false])("a refresh that fails is tried again, though an older one was answered: entries change %s", async (doChange) => {
    const { list, calls } = await begin(doChange);
    void list.refresh();
    void list.refresh();
    await nth(calls, 1).fail(problems.offline());
    await nth(calls, 0).answer(page(3, 2, 1));
    expect(list.problem.value).not.toBeNull();
    await vi.advanceTimersByTimeAsync(1000);
    await nth(calls, 2).answer(page(4, 3, 2, 1));
    expect([list.pages.value?.entries, list.problem.value]).toEqual([[4, 3, 2, 1], null]);
  });

  test("an older first page does not go on top of a newer one", async () => {
    const { list, calls } = await begin(false);
    void list.refresh();
    void list.refresh();
    await nth(calls, 1).answer(page(4, 3));
    await nth(calls, 0).answer(page(3, 2));
    expect(list.pages.value?.entries).toEqual([4, 3]);
  });

  test("older ones are asked for once, whatever is read anew meanwhile, and stay", async () => {
    const { list, calls } = await begin(true);
    void list.refresh();
    await nth(calls, 0).answer(page(6, 5));
    void list.refresh();
    expect(list.isReadingOlder.value).toBe(false);
    void list.more();
    void list.more();
    expect([calls.map((call) => call.path), list.isReadingOlder.value]).toEqual([["null", "null", "5"], true]);
    await nth(calls, 2).answer(page(4, 3));
    expect([list.pages.value?.entries, list.isReadingOlder.value]).toEqual([[6, 5, 4, 3], false]);
    // The refresh had asked for two; now there are four to read.
    await nth(calls, 1).answer(page(6, 5));
    await nth(calls, 3).answer(page(6, 5));
    await nth(calls, 4).answer(page(4, 3));
    expect(list.pages.value?.entries).toEqual([6, 5, 4, 3]);
  });

  test("older ones that did not come are told, and asked for again", async () => {
    const { list, calls } = await begin(false);
    void list.refresh();
    await nth(calls, 0).answer(page(6, 5));
    void list.more();
    await nth(calls, 1).fail(problems.offline());
    void list.refresh();
    await nth(calls, 2).answer(page(6, 5));
    expect([list.problem.value === null, list.isReadingOlder.value]).toEqual([false, false]);
    list.retry();
    await nth(calls, 3).answer(page(4, 3));
    expect([list.pages.value?.entries, list.problem.value]).toEqual([[6, 5, 4, 3], null]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toHaveLength(4);
  });

  test("after its end it is not read, whoever still holds it", async () => {
    const { list, calls } = await begin(true);
    void list.refresh();
    list.end();
    await nth(calls, 0).fail(problems.offline());
    void list.refresh();
    void list.more();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([calls.length, list.pages.value, list.problem.value]).toEqual([1, null, null]);
  });
});

describe("the wallet", () => {
  const has = (coins: number): Wallet => ({ coins, debt: 0, is_frozen: false, held_coins: 0, earnings: 0 });
  const person = (id: string): Account => ({ profile: { id }, roles: ["finance"] }) as unknown as Account;

  async function signIn() {
    const { calls, read } = asked<unknown>();
    vi.doMock("../src/api", () => ({ get: read, post: read }));
    const { account } = await import("../src/state");
    account.value = person("ada");
    return { account, calls };
  }

  test("is that of whoever is signed in, and so is what went wrong with it", async () => {
    const { account, calls } = await signIn();
    const { loadWallet, wallet, walletProblem } = await import("../src/ledger/wallet-state");
    void loadWallet();
    void loadWallet();
    account.value = person("ben");
    await nth(calls, 0).answer(has(7));
    await nth(calls, 1).fail(problems.offline());
    await vi.advanceTimersByTimeAsync(60_000);
    expect([wallet.value, walletProblem.value, calls.length]).toEqual([null, null, 2]);
    void loadWallet();
    await nth(calls, 2).answer(has(1));
    expect(wallet.value?.coins).toBe(1);
  });

  test("held purchases are not heard by somebody without the role", async () => {
    const { account, calls } = await signIn();
    const { heldProblem, heldPurchases, loadHeld } = await import("../src/purchases/held-state");
    void loadHeld();
    void loadHeld();
    account.value = null;
    await nth(calls, 0).answer({ purchases: [] });
    await nth(calls, 1).fail(problems.offline());
    expect([heldPurchases.value, heldProblem.value]).toEqual([null, null]);
    await loadHeld();
    expect(calls).toHaveLength(2);
  });

  test("two gifts pressed at once are not both sent", async () => {
    const { calls } = await signIn();
    const { sendGift, sending } = await import("../src/gifts/sending");
    const rose = { id: "rose", title: "Rose", emoji: "", price: 10 } as GiftType;
    const ana = { recipientId: "1", name: "ana", slotIndex: 1, streamId: "2" } as GiftTarget;
    const first = sendGift(rose, ana);
    expect(await sendGift({ ...rose, id: "heart" }, ana)).toBe("busy");
    expect([calls.length, sending.value]).toEqual([1, "rose"]);
    await nth(calls, 0).answer({ coins: 60 });
    expect([await first, sending.value]).toEqual([null, null]);
  });
});
