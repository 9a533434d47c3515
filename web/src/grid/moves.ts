import type { Slot, Stream } from "../protocol";

/** Pure changes of a wall. Each takes the slots as they are and gives the slots as they shall be. */
export type Slots = readonly Slot[];

export const wallSize = 12;

export function slotAt(slots: Slots, index: number): Slot | undefined {
  return slots.find((slot) => slot.slot_index === index);
}

export function slotFor(slots: Slots, streamerId: string): Slot | undefined {
  return slots.find((slot) => slot.streamer_id === streamerId);
}

export function firstFree(slots: Slots): number | null {
  for (let index = 1; index <= wallSize; index++) if (!slotAt(slots, index)) return index;
  return null;
}

export function change(slots: Slots, streamerId: string, patch: Partial<Slot>): Slots {
  return slots.map((slot) => (slot.streamer_id === streamerId ? { ...slot, ...patch } : slot));
}

export function place(slots: Slots, index: number, streamer: NonNullable<Slot["streamer"]>): Slots {
  if (slotFor(slots, streamer.id)) return slots;
  const slot: Slot = {
    slot_index: index,
    streamer_id: streamer.id,
    streamer,
    is_pinned: false,
    is_muted: false,
    is_active: false,
    volume: 100,
  };
  return sorted([...slots.filter((other) => other.slot_index !== index), slot]);
}

/** Puts people on the free places, in their order. Nobody who is there already is moved. */
export function fill(slots: Slots, people: readonly NonNullable<Slot["streamer"]>[]): Slots {
  return people.reduce((filled, person) => {
    const at = firstFree(filled);
    return at === null ? filled : place(filled, at, person);
  }, slots);
}

/** Whether everybody is still where they were, whoever came to them. */
export function keeps(before: Slots, after: Slots): boolean {
  return before.every((slot) => slotAt(after, slot.slot_index)?.streamer_id === slot.streamer_id);
}

/** Who went live after a moment and is not on the wall, the latest first. */
export function newcomers(live: readonly Stream[], slots: Slots, since: number): Stream[] {
  const began = (stream: Stream): number => Date.parse(stream.live_since ?? "") || 0;
  return live.filter((stream) => began(stream) > since && !slotFor(slots, stream.streamer.id)).sort((a, b) => began(b) - began(a));
}

export function withdraw(slots: Slots, streamerId: string): Slots {
  return slots.filter((slot) => slot.streamer_id !== streamerId);
}

/** Moves a tile to a place; who is there takes the place it came from. */
export function move(slots: Slots, from: number, to: number): Slots {
  return sorted(
    slots.map((slot) => {
      if (slot.slot_index === from) return { ...slot, slot_index: to };
      return slot.slot_index === to ? { ...slot, slot_index: from } : slot;
    }),
  );
}

/** Tiles that are to play, with no more than `limit`: pinned first, then the latest focused. */
export function playing(slots: Slots, recency: readonly string[], limit: number): Slot[] {
  return slots
    .filter((slot) => slot.is_active && !slot.is_muted)
    .sort((a, b) => rank(a, recency) - rank(b, recency))
    .slice(0, limit);
}

/** Who has to become a preview so that one more may play: the active tile focused longest ago that
 * is not pinned, or when all are pinned, the one focused longest ago. Null when there is room. */
export function toDemote(slots: Slots, recency: readonly string[], joining: string, limit: number): Slot | null {
  const active = slots.filter((slot) => slot.is_active && slot.streamer_id !== joining);
  if (active.length < limit) return null;
  const oldestFirst = active.sort((a, b) => recencyOf(b, recency) - recencyOf(a, recency));
  return oldestFirst.find((slot) => !slot.is_pinned) ?? oldestFirst[0] ?? null;
}

/** The other tab's arrangement, but this tab goes on playing what it plays. */
export function adopt(mine: Slots, theirs: Slots): Slots {
  return sorted(
    theirs.map((slot) => ({ ...slot, is_active: slotFor(mine, slot.streamer_id)?.is_active ?? false })),
  );
}

function rank(slot: Slot, recency: readonly string[]): number {
  return recencyOf(slot.streamer_id, recency) - (slot.is_pinned ? 1000 : 0);
}

/** 0 is focused right now; who was never focused comes last. */
function recencyOf(of: Slot | string, recency: readonly string[]): number {
  const at = recency.indexOf(typeof of === "string" ? of : of.streamer_id);
  return at < 0 ? 100 : at;
}

function sorted(slots: Slot[]): Slots {
  return slots.sort((a, b) => a.slot_index - b.slot_index);
}
