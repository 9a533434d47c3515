import { describe, expect, test } from "vitest";
import { merge } from "../src/chat/merge";
import { belongs, sessionOf } from "../src/media/sdp";
import { flagsOf, isWanted, type TileFacts } from "../src/presence-flags";
import { inWords, Refusal } from "../src/problems";
import type { ChatMessage, Problem, Stream } from "../src/protocol";
import { newerStream } from "../src/streams/epochs";
import { timelineOf } from "../src/streams/timeline-facts";

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

test("refusals are told in words that name the next step, and unknown ones by what the server says", () => {
  const refusal = (code: string, more: Partial<Problem> = {}) => new Refusal({ type: "", title: "T", status: 400, code, ...more });
  expect(inWords(refusal("rate_limited", { fields: { retry_after: 3.2 } }))).toContain("4 s");
  expect(inWords(new Refusal({ type: "", title: "T", status: 429, code: "slow_mode" }, 7))).toContain("7 s");
  expect(inWords(refusal("never_heard_of", { detail: "It did not fit.", hint: "Fold it." }))).toBe("It did not fit. Fold it.");
  expect(inWords(new TypeError("x is undefined"))).not.toContain("undefined");
});
