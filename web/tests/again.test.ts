import { afterEach, beforeEach, expect, test, vi } from "vitest";

const refusal = (status: number) => new problems.Refusal({ type: "", title: "", status, code: "some_code" });
const handlers = new Map<string, () => void>();
let again: typeof import("../src/again");
let problems: typeof import("../src/problems");

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  vi.stubGlobal("window", Object.assign(new EventTarget(), { setTimeout, clearTimeout }));
  vi.doMock("../src/socket", () => ({ on: (type: string, handle: () => void) => handlers.set(type, handle) }));
  vi.resetModules();
  problems = await import("../src/problems");
  again = await import("../src/again");
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("what was out of reach is tried again, with pauses that grow up to half a minute", () => {
  const tried: number[] = [];
  const began = Date.now();
  const list = {};
  const fail = (): void => again.tryAgain(list, problems.offline(), () => (tried.push(Math.round((Date.now() - began) / 1000)), fail()));
  fail();
  vi.advanceTimersByTime(92_000);
  expect(tried).toEqual([1, 3, 7, 15, 31, 61, 91]);
  again.stopTrying(list);
  vi.advanceTimersByTime(120_000);
  expect(tried).toHaveLength(7);
});

test.each(["online", "snapshot"])("all of it is tried at once, and once, when the way is there again: %s", (sign) => {
  const packs = vi.fn();
  const statement = vi.fn();
  for (const retry of [packs, statement]) again.tryAgain(retry, refusal(503), retry);
  if (sign === "online") window.dispatchEvent(new Event("online"));
  else handlers.get("snapshot")?.();
  expect([packs, statement].map((retry) => retry.mock.calls.length)).toEqual([1, 1]);
  vi.advanceTimersByTime(60_000);
  expect(packs).toHaveBeenCalledOnce();
});

test("an answer that would stay the same is not asked for again", () => {
  const retry = vi.fn();
  for (const status of [400, 401, 403, 404, 409]) again.tryAgain(retry, refusal(status), retry);
  vi.advanceTimersByTime(60_000);
  window.dispatchEvent(new Event("online"));
  expect(retry).not.toHaveBeenCalled();
});
