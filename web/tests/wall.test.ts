import { describe, expect, test } from "vitest";
import { arrange, keepPlaces } from "../src/grid/layout";
import { adopt, change, fill, firstFree, keeps, move, newcomers, place, playing, slotAt, toDemote, withdraw, type Slots } from "../src/grid/moves";
import { tileState, type TileView } from "../src/grid/tile-state";
import type { Slot, Stream } from "../src/protocol";

const person = (id: string) => ({ id, name: id, display_name: id });

/** A wall with one letter a person, from place 1; capitals are active, "!" pins the one before. */
function wall(letters: string): Slots {
  let slots: Slots = [];
  for (const letter of letters) {
    const last = slots.at(-1)?.streamer_id ?? "";
    if (letter === "!") slots = change(slots, last, { is_pinned: true });
    else {
      const id = letter.toLowerCase();
      slots = change(place(slots, slots.length + 1, person(id)), id, { is_active: letter !== id });
    }
  }
  return slots;
}

const ids = (slots: Slots): string => slots.map((slot) => `${slot.slot_index}${slot.streamer_id}`).join(" ");

describe("moves", () => {
  test("moving onto somebody swaps the two, moving to a free place leaves one behind", () => {
    expect(ids(move(wall("abc"), 1, 3))).toBe("1c 2b 3a");
    const moved = move(wall("abc"), 1, 7);
    expect(ids(moved)).toBe("2b 3c 7a");
    expect(firstFree(moved)).toBe(1);
  });

  test("nobody is on a wall twice", () => {
    expect(ids(place(wall("ab"), 5, person("a")))).toBe("1a 2b");
    expect(ids(withdraw(wall("ab"), "a"))).toBe("2b");
  });

  test("the fifth to play takes the place of the one focused longest ago that is not pinned", () => {
    const four = wall("A!BCDe");
    expect(toDemote(four, ["d", "c", "b", "a"], "e", 4)?.streamer_id).toBe("b");
    expect(toDemote(four, ["b", "d", "c"], "e", 4)?.streamer_id).toBe("c");
    expect(toDemote(wall("ABCd"), [], "d", 4)).toBeNull();
    expect(toDemote(wall("A!B!C!D!e"), ["d", "a", "b", "c"], "e", 4)?.streamer_id).toBe("c");
  });

  test("with room for one, the latest focused plays, before it a pinned one, and nobody muted", () => {
    const names = (slots: Slots, recency: string[]) => playing(slots, recency, 1).map((slot) => slot.streamer_id);
    expect(names(wall("ABC"), ["c", "a"])).toEqual(["c"]);
    expect(names(wall("AB!C"), ["c", "a"])).toEqual(["b"]);
    expect(names(change(wall("AB"), "a", { is_muted: true }), ["a", "b"])).toEqual(["b"]);
  });

  test("another tab's arrangement changes places but not what this tab plays", () => {
    const taken = adopt(wall("Ab"), move(wall("aBC"), 1, 2));
    expect(ids(taken)).toBe("1b 2a 3c");
    expect(taken.filter((slot) => slot.is_active).map((slot) => slot.streamer_id)).toEqual(["a"]);
  });
});

describe("who goes live", () => {
  test("free places fill, nobody is moved, and who is left over is left out", () => {
    const gaps = withdraw(wall("abc"), "b");
    expect(ids(fill(gaps, [person("c"), person("x"), person("y")]))).toBe("1a 2x 3c 4y");
    expect(fill(gaps, [person("a")])).toBe(gaps);
    expect(ids(fill(wall("abcdefghijk"), [person("x"), person("y")]))).toMatch(/12x$/);
  });

  test("somebody who comes is no change of what was there; a move, a swap or a removal is", () => {
    expect(keeps(wall("ab"), wall("abc"))).toBe(true);
    expect(keeps(wall("ab"), move(wall("ab"), 1, 2))).toBe(false);
    expect(keeps(wall("ab"), move(wall("ab"), 2, 5))).toBe(false);
    expect(keeps(wall("ab"), wall("a"))).toBe(false);
  });

  test("only who began since then and is not on the wall is news, the latest first", () => {
    const since = Date.parse("2026-11-22T21:00:00Z");
    const live = (id: string, time: string) => ({ id, streamer: person(id), live_since: `2026-11-22T${time}Z` }) as Stream;
    const all = [live("a", "21:01:00"), live("old", "20:59:59"), live("x", "21:02:00"), live("y", "21:03:00")];
    expect(newcomers(all, wall("ab"), since).map((stream) => stream.id)).toEqual(["y", "x"]);
  });
});

describe("layout", () => {
  const all = Array.from({ length: 12 }, (_, at) => at + 1);

  test.each(["phone", "middle", "wide"] as const)("no two tiles overlap and none is lost (%s)", (width) => {
    for (let active = 0; active <= 4; active++) {
      const { columns, cells } = arrange(all, [9, 2, 12, 5].slice(0, active), width);
      const covered = [...cells.values()].flatMap(({ column, row, span }) =>
        Array.from({ length: span * span }, (_, at) => `${column + (at % span)} ${row + Math.floor(at / span)}`),
      );
      expect(cells.size).toBe(12);
      expect(new Set(covered).size).toBe(covered.length);
      expect(Math.max(...[...cells.values()].map((cell) => cell.column + cell.span - 1))).toBeLessThanOrEqual(columns);
    }
  });

  test("who goes on playing keeps their place on the stage", () => {
    expect(keepPlaces(["a", "b", "c", "d"], new Set(["a", "c", "d", "e"]))).toEqual(["a", "e", "c", "d"]);
    expect(keepPlaces(["a", "b", "c", "d"], new Set(["a", "c", "d"]))).toEqual(["a", "d", "c"]);
    expect(keepPlaces(["a", "b"], new Set(["b"]))).toEqual(["b"]);
    expect(keepPlaces([], new Set(["x", "y"]))).toEqual(["x", "y"]);
    expect(keepPlaces(["a", "b", "c"], new Set())).toEqual([]);
  });
});

describe("what a tile shows", () => {
  const slot = slotAt(wall("A"), 1) as Slot;
  const stream = { live_available: true } as Stream;
  const seat = { type: "seat", stream_id: "s", state: "waiting", media_id: null, publisher: null, position: 2 } as const;
  const view: TileView = { slot, stream, isPlaying: true, needsTap: false, seat: undefined, flow: "none", isAway: false };

  test.each([
    ["empty", { slot: undefined }],
    ["ended", { stream: null }],
    ["preview", { isPlaying: false, seat }],
    ["blocked", { needsTap: true }],
    ["connecting", {}],
    ["waiting", { seat }],
    ["playing", { flow: "flowing" as const }],
    ["stalled", { flow: "stalled" as const }],
  ])("%s", (state, change) => {
    expect(tileState({ ...view, ...change })).toBe(state);
  });
});
