import { computed, effect, signal } from "@preact/signals";
import { put } from "../api";
import { soundIsAllowed } from "../media/sound-permission";
import { on } from "../socket";
import { account, learnStreams, limits, ready, slots, streamOf } from "../state";
import { say } from "../status";
import { sessionId } from "../tab";
import { inWords } from "../problems";
import type { Person, Slot, Stream } from "../protocol";
import { adopt, change, fill, firstFree, keeps, move, place, playing, slotFor, toDemote, withdraw, type Slots } from "./moves";

const saveAfter = 500;

/** Streamers in the order of their last focus, the focused one first. */
export const recency = signal<readonly string[]>([]);
/** Tiles whose sound the browser has not allowed yet: they wait for a tap and are not counted. */
export const needsTap = signal<ReadonlySet<string>>(new Set());
const phone = window.matchMedia("(max-width: 639px)");
export const onPhone = signal(phone.matches);
phone.addEventListener("change", () => (onPhone.value = phone.matches));

export const activeLimit = computed(() => (onPhone.value ? 1 : limits.value.active));

/** Streamers whose tile is to show video, as far as this page is concerned. */
export const playingIds = computed<ReadonlySet<string>>(() => {
  const chosen = playing(slots.value, recency.value, activeLimit.value);
  return new Set(chosen.map((slot) => slot.streamer_id));
});

export const focusedId = computed<string | null>(() => {
  const here = new Set(slots.value.map((slot) => slot.streamer_id));
  const recent = recency.value.find((id) => here.has(id));
  if (recent !== undefined) return recent;
  const live = slots.value.find((slot) => streamOf.value.get(slot.streamer_id)?.live_available);
  return [...playingIds.value][0] ?? live?.streamer_id ?? null;
});

export const focusedStream = computed<Stream | null>(() => {
  const id = focusedId.value;
  return id === null ? null : (streamOf.value.get(id) ?? null);
});

/** Whether this wall is as it filled itself: then it goes on doing so. */
export const isUntouched = signal(false);
const untouchedKey = "livewall.untouched";

const noteOn = (isFresh: boolean): string => `${account.value?.profile.id} ${isFresh ? "untouched" : "arranged"}`;

/** Kept in this browser, so that a reload neither forgets a choice nor fills a wall that was emptied. */
function recall(restored: readonly Slot[]): boolean {
  const kept = localStorage.getItem(untouchedKey);
  return restored.length === 0 ? kept !== noteOn(false) : kept === noteOn(true);
}

/** From the first choice on, the wall belongs to whoever chose. */
function arranged(): void {
  isUntouched.value = false;
  localStorage.setItem(untouchedKey, noteOn(false));
}

window.addEventListener("storage", (event) => {
  if (event.key === untouchedKey && event.newValue === noteOn(false)) isUntouched.value = false;
});

let saveTimer = 0;
let saving = false;
let changedWhileSaving = false;

function setSlots(next: Slots): void {
  if (next === slots.value) return;
  slots.value = next;
  window.clearTimeout(saveTimer);
  saveTimer = window.setTimeout(() => void save(), saveAfter);
}

async function save(): Promise<void> {
  saveTimer = 0;
  if (saving) {
    changedWhileSaving = true;
    return;
  }
  saving = true;
  try {
    // The header keeps what we say from coming back to us as news.
    await put("/api/grid", { slots: slots.value.map(stored) }, { "X-Session-Id": sessionId() });
  } catch (error) {
    say(`Your wall could not be saved. ${inWords(error)}`);
  } finally {
    saving = false;
  }
  if (changedWhileSaving) {
    changedWhileSaving = false;
    void save();
  }
}

function stored(slot: Slot): Slot {
  const { slot_index, streamer_id, is_pinned, is_muted, is_active, volume } = slot;
  return { slot_index, streamer_id, is_pinned, is_muted, is_active, volume };
}

/** Saves at once what is waiting to be saved, for example before the page closes. */
export function saveNow(): void {
  if (saveTimer === 0) return;
  window.clearTimeout(saveTimer);
  void save();
}

export function nameOf(streamerId: string): string {
  const person = personOf(streamerId);
  return person ? person.display_name || person.name : "this person";
}

export function personOf(streamerId: string): Person | null {
  return streamOf.value.get(streamerId)?.streamer ?? slotFor(slots.value, streamerId)?.streamer ?? null;
}

export function focus(streamerId: string): void {
  if (recency.value[0] === streamerId) return;
  recency.value = [streamerId, ...recency.value.filter((id) => id !== streamerId)].slice(0, 24);
}

/** The person asks for video with a click, so the click also unlocks sound. */
export function watch(streamerId: string): void {
  const stream = streamOf.value.get(streamerId);
  if (stream) performance.mark(`livewall:click:${stream.id}`);
  let next = slots.value;
  const demoted = toDemote(next, recency.value, streamerId, activeLimit.value);
  if (demoted) {
    next = change(next, demoted.streamer_id, { is_active: false });
    say(`${nameOf(demoted.streamer_id)} is a preview now: ${limitInWords()}.`);
  }
  allowSound();
  focus(streamerId);
  setSlots(change(next, streamerId, { is_active: true, is_muted: false }));
}

function limitInWords(): string {
  return activeLimit.value === 1 ? "one tile plays at a time here" : `${activeLimit.value} tiles play at a time`;
}

export function stopWatching(streamerId: string): void {
  setSlots(change(slots.value, streamerId, { is_active: false }));
}

export function setMuted(streamerId: string, isMuted: boolean): void {
  if (!isMuted) {
    watch(streamerId);
    return;
  }
  setSlots(change(slots.value, streamerId, { is_muted: true, is_active: false }));
  say(`${nameOf(streamerId)} is muted and shown as a preview.`);
}

export function setPinned(streamerId: string, isPinned: boolean): void {
  arranged();
  setSlots(change(slots.value, streamerId, { is_pinned: isPinned }));
  say(isPinned ? `${nameOf(streamerId)} is pinned and keeps playing.` : `${nameOf(streamerId)} is not pinned any more.`);
}

export function setVolume(streamerId: string, volume: number): void {
  setSlots(change(slots.value, streamerId, { volume }));
}

export function removeFromWall(streamerId: string): void {
  const name = nameOf(streamerId);
  arranged();
  setSlots(withdraw(slots.value, streamerId));
  say(`${name} is off your wall.`);
}

/** Puts a streamer on the wall, at a place or at the first free one. False when the wall is full. */
export function putOnWall(stream: Stream, index: number | null = null): boolean {
  const at = index ?? firstFree(slots.value);
  if (at === null) {
    say("Your wall is full. Remove a tile first.");
    return false;
  }
  arranged();
  setSlots(place(slots.value, at, stream.streamer));
  return true;
}

/** Fills free places of a wall that nobody has arranged. */
export function fillPlaces(people: readonly Person[]): void {
  const filled = fill(slots.value, people);
  if (filled === slots.value) return;
  localStorage.setItem(untouchedKey, noteOn(true));
  setSlots(filled);
}

export function moveTile(from: number, to: number): void {
  if (from === to) return;
  arranged();
  setSlots(move(slots.value, from, to));
}

/** A gesture happened: every tile that waited for one may try again. */
export function allowSound(): void {
  if (needsTap.value.size > 0) needsTap.value = new Set();
}

export function soundRefused(streamerId: string): void {
  needsTap.value = new Set(needsTap.value).add(streamerId);
}

async function restore(restored: readonly Slot[]): Promise<void> {
  const active = restored.filter((slot) => slot.is_active && !slot.is_muted).map((slot) => slot.streamer_id);
  if (active.length > 0) needsTap.value = new Set(active);
  slots.value = restored;
  isUntouched.value = recall(restored);
  ready.value = true;
  if (active.length > 0 && (await soundIsAllowed())) allowSound();
}

/** Another tab's or device's arrangement; where it moved somebody, the wall is arranged here too. */
function take(theirs: readonly Slot[]): void {
  if (isUntouched.value && !keeps(slots.value, theirs)) arranged();
  slots.value = adopt(slots.value, theirs);
}

on("snapshot", (snapshot) => {
  if (!ready.value) void restore(snapshot.slots);
  else if (saveTimer === 0 && !saving) take(snapshot.slots);
});

on("slots", (message) => {
  // What is on its way from here comes later and wins.
  if (saveTimer !== 0 || saving) return;
  learnStreams(message.slots.flatMap((slot) => (slot.stream ? [slot.stream] : [])));
  take(message.slots);
});

effect(() => {
  // Forget taps of tiles that are gone, so that they start afresh when they come back.
  const here = new Set(slots.value.map((slot) => slot.streamer_id));
  const kept = [...needsTap.peek()].filter((id) => here.has(id));
  if (kept.length !== needsTap.peek().size) needsTap.value = new Set(kept);
});

