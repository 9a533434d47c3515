import { computed, signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { merge } from "../src/chat/merge";
import { belongs, sessionOf } from "../src/media/sdp";
import { flagsOf, isWanted, type TileFacts } from "../src/presence-flags";
import { inWords, Refusal } from "../src/problems";
import type { ChatMessage, Problem, Stream } from "../src/protocol";
import { newerStream } from "../src/streams/epochs";
import { afterSilence } from "../src/streams/silence";
import { sumInWords, ticksOf, timelineOf } from "../src/streams/timeline-facts";

describe("presence", () => {
  const facts: TileFacts = { streamId: "s", isMuted: false, isPlaying: true, isVisible: true, needsTap: false, isResting: false };

  test("a tile that plays, sounds and is seen is wanted, before any video has arrived", () => {
    expect(isWanted(flagsOf(facts))).toBe(true);
  });

  test.each([
    [{ isPlaying: false }, { is_active: false, is_subscribed: false }],
    [{ isMuted: true, isPlaying: false }, { is_unmuted: false }],
    [{ isVisible: false }, { is_visible: false, is_subscribed: true }],
    [{ needsTap: true }, { is_active: true, is_subscribed: false }],
    [{ isResting: true }, { is_active: true, is_subscribed: false }],
  ])("%j is not wanted", (change, expected) => {
    const tile = flagsOf({ ...facts, ...change });
    expect(tile).toMatchObject(expected);
    expect(isWanted(tile)).toBe(false);
  });
});

describe("a line that is lost", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("ends what is sent after a minute on end, however often it is tried again", () => {
    const state = signal("open");
    const isOpen = computed(() => state.value === "open");
    const giveUp = vi.fn();
    const forget = afterSilence(isOpen, 60_000, giveUp);
    const pass = (seconds: number, then: string): void => {
      vi.advanceTimersByTime(seconds * 1000);
      state.value = then;
    };
    pass(100, "waiting");
    pass(59, "open");
    pass(30, "waiting");
    pass(30, "connecting");
    pass(29, "waiting");
    expect(giveUp).not.toHaveBeenCalled();
    pass(1, "connecting");
    expect(giveUp).toHaveBeenCalledOnce();
    pass(100, "open");
    expect(giveUp).toHaveBeenCalledOnce();
    forget();
    pass(0, "waiting");
    pass(100, "open");
    expect(giveUp).toHaveBeenCalledOnce();
  });
});

test("the highest epoch wins, and of equals the later heard", () => {
  const at = (publish_epoch: number, active_viewer_count = 0) => ({ publish_epoch, active_viewer_count }) as Stream;
  const known = at(4);
  expect(newerStream(known, at(3))).toBe(known);
  expect(newerStream(known, at(4, 2)).active_viewer_count).toBe(2);
  expect(newerStream(known, at(5)).publish_epoch).toBe(5);
  expect(newerStream(undefined, known)).toBe(known);
});

describe("signalling", () => {
  const sdp = "v=0\r\no=- 8422 2 IN IP4 127.0.0.1\r\na=ice-ufrag:AbCd\r\n";

  test("an offer of a new connection is told from a repeated one by its session", () => {
    expect(sessionOf(sdp)).toBe("8422");
    expect(sessionOf(sdp.replace("8422 2", "8422 3"))).toBe("8422");
    expect(sessionOf(sdp.replace("8422", "9000"))).not.toBe("8422");
  });

  test("a candidate of a connection that is no more is not used", () => {
    expect(belongs({ usernameFragment: "AbCd" }, { sdp })).toBe(true);
    expect(belongs({ usernameFragment: "ZzZz" }, { sdp })).toBe(false);
    expect(belongs({}, { sdp })).toBe(true);
  });
});

test("chat is in order, each message once, the later heard state of it kept", () => {
  const message = (id: number, is_deleted = false) => ({ id, is_deleted }) as ChatMessage;
  const merged = merge([message(2), message(5)], [message(5, true), message(1), message(9)]);
  expect(merged.map((one) => one.id)).toEqual([1, 2, 5, 9]);
  expect(merged[2]?.is_deleted).toBe(true);
});

test("the timeline adds up: live is sent plus saved, and starts with the three hours shown", () => {
  const now = Date.parse("2026-11-22T21:00:00Z");
  const facts = timelineOf(
    {
      live: [{ started_at: "2026-11-22T17:00:00Z", ended_at: null, ended_reason: null }],
      intervals: [
        { epoch: 1, started_at: "2026-11-22T17:30:00Z", ended_at: "2026-11-22T18:30:00Z", started_reason: "", ended_reason: "" },
        { epoch: 3, started_at: "2026-11-22T20:50:00Z", ended_at: null, started_reason: "", ended_reason: null },
      ],
    },
    now,
  );
  expect(facts.end - facts.start).toBe(3 * 3_600_000);
  expect(facts.live).toBe(3 * 3_600_000);
  expect(facts.sentFor).toBe(40 * 60_000);
});

describe("the timeline", () => {
  const minute = 60_000;
  const at = (time: string): number => Date.parse(`2026-11-22T${time}Z`);
  const span = (started_at: string, ended_at: string | null) => ({ started_at, ended_at, ended_reason: null });

  test("who was not live in three hours sees three hours", () => {
    const facts = timelineOf({ live: [], intervals: [] }, at("21:00:00"));
    expect(facts.end - facts.start).toBe(180 * minute);
    expect(sumInWords(facts)).toContain("three hours");
  });

  test("who has just gone live sees a quarter of an hour, and live apart from not live", () => {
    const facts = timelineOf({ live: [span("2026-11-22T20:58:00Z", null)], intervals: [] }, at("21:00:00"));
    expect(facts.end - facts.start).toBe(15 * minute);
    expect(facts.on).toMatchObject([{ from: at("20:58:00"), to: at("21:00:00") }]);
    expect(facts.sent).toEqual([]);
  });

  test.each([15, 16, 40, 62, 119, 180])("labels of %i minutes are round times, evenly spaced", (length) => {
    const end = at("21:07:31");
    const ticks = ticksOf({ start: end - length * minute, end });
    const steps = new Set(ticks.slice(1).map((tick, index) => tick - (ticks[index] ?? 0)));
    expect(ticks.length).toBeGreaterThan(0);
    expect(ticks.length).toBeLessThanOrEqual(5);
    expect(steps.size).toBeLessThanOrEqual(1);
    for (const tick of ticks) expect(tick % (5 * minute)).toBe(0);
  });

  test.each([
    [62.9 * minute, 44.6 * minute, "Live for 1 h 2 min · sent video for 45 min · 17 min saved"],
    [62 * minute, 1000, "Live for 1 h 2 min · sent video for 1 min · 1 h 1 min saved"],
    [62 * minute, 62 * minute, "Live for 1 h 2 min · sent video for 1 h 2 min · 0 min saved"],
    [310_900, 40_600, "Live for 5 min 10 s · sent video for 41 s · 4 min 29 s saved"],
    [20_000, 0, "Live for 20 s · sent video for 0 s · 20 s saved"],
  ])("figures add up as they are shown: %i, %i", (live, sentFor, words) => {
    expect(sumInWords({ live, sentFor })).toBe(words);
  });
});

test("refusals are told in words that name the next step, and unknown ones by what the server says", () => {
  const refusal = (code: string, more: Partial<Problem> = {}) => new Refusal({ type: "", title: "T", status: 400, code, ...more });
  expect(inWords(refusal("rate_limited", { fields: { retry_after: 3.2 } }))).toContain("4 s");
  expect(inWords(new Refusal({ type: "", title: "T", status: 429, code: "slow_mode" }, 7))).toContain("7 s");
  expect(inWords(refusal("never_heard_of", { detail: "It did not fit.", hint: "Fold it." }))).toBe("It did not fit. Fold it.");
  expect(inWords(new TypeError("x is undefined"))).not.toContain("undefined");
});
