import { computed, effect, signal } from "@preact/signals";
import { postWhileClosing } from "./api";
import { needsTap, playingIds, saveNow } from "./grid/wall-state";
import { inWords, Refusal } from "./problems";
import type { Problem, PublisherBeat, Tile } from "./protocol";
import { flagsOf, isWanted, type TileFacts } from "./presence-flags";
import { heartbeatId, on, send, sendHeartbeat } from "./socket";
import { account, ready, slots, streamOf } from "./state";
import { say } from "./status";
import { nextSequence, sessionId } from "./tab";
import { everySoOften } from "./ticker";

/**
 * Who this tab watches, told to the server. Everything here follows the state of the wall and what
 * is visible; no component's mounting, rendering or leaving ever says anything to the server.
 */
const heartbeatEvery = 12_000;
const coalesce = 50;
const showAfter = 400;
const hideAfter = 1500;
/** How much of a tile has to be on screen. */
const enough = 0.25;

/** Streamers whose tile can be seen, after the delays that keep scrolling and re-rendering quiet. */
export const visibleIds = signal<ReadonlySet<string>>(new Set());
/** Streams whose video is asked for anew after a failure: not subscribed for a moment. */
export const restingIds = signal<ReadonlySet<string>>(new Set());
/** What the studio adds to each heartbeat while it holds the publisher lease. */
export const publisherBeat = signal<PublisherBeat | null>(null);

export const tiles = computed<Tile[]>(() =>
  slots.value.flatMap((slot) => {
    const stream = streamOf.value.get(slot.streamer_id);
    if (!stream?.live_available) return [];
    const id = slot.streamer_id;
    const facts: TileFacts = {
      streamId: stream.id,
      isMuted: slot.is_muted,
      isPlaying: playingIds.value.has(id),
      isVisible: visibleIds.value.has(id),
      needsTap: needsTap.value.has(id),
      isResting: restingIds.value.has(stream.id),
    };
    return [flagsOf(facts)];
  }),
);

type Listener = (wanted: ReadonlySet<string>) => void;
const listeners: Listener[] = [];
/** Hears which streams are wanted each time the server has been told. */
export function onTold(listener: Listener): void {
  listeners.push(listener);
}

let toldText = "";
let toldStreams = new Map<string, string>();
let flushTimer = 0;
let flushedAt = -Infinity;

/** At once when it was quiet, so that a click is not kept waiting; together when things come thick. */
function schedule(): void {
  const wait = performance.now() - flushedAt > 4 * coalesce ? 0 : coalesce;
  if (flushTimer === 0) flushTimer = window.setTimeout(flush, wait);
}

function flush(): void {
  window.clearTimeout(flushTimer);
  flushTimer = 0;
  if (!ready.value) return;
  flushedAt = performance.now();
  leaveRemoved();
  beat();
}

/** A tile taken off the wall is left in so many words; one whose stream ended just goes unlisted. */
function leaveRemoved(): void {
  const here = new Set(slots.value.map((slot) => slot.streamer_id));
  const gone = [...toldStreams].filter(([, streamer]) => !here.has(streamer)).map(([stream]) => stream);
  if (gone.length === 0) return;
  if (!send({ type: "leave", sequence: nextSequence(), stream_ids: gone })) return;
  for (const stream of gone) toldStreams.delete(stream);
}

function beat(): void {
  const publisher = publisherBeat.value;
  if (tiles.value.length === 0 && publisher === null && toldStreams.size === 0) return;
  const said = { type: "heartbeat" as const, sequence: nextSequence(), tiles: tiles.value };
  if (!sendHeartbeat(publisher === null ? said : { ...said, publisher })) return;
  toldText = JSON.stringify([tiles.value, publisher]);
  toldStreams = new Map(tiles.value.map((tile) => [tile.stream_id, streamerOf(tile.stream_id)]));
  const wanted = new Set(tiles.value.filter(isWanted).map((tile) => tile.stream_id));
  for (const listener of listeners) listener(wanted);
}

function streamerOf(streamId: string): string {
  for (const [streamer, stream] of streamOf.value) if (stream.id === streamId) return streamer;
  return "";
}

effect(() => {
  if (!ready.value) return;
  const now = JSON.stringify([tiles.value, publisherBeat.value]);
  const removed = [...toldStreams.values()].some((id) => !slots.value.some((slot) => slot.streamer_id === id));
  if (now !== toldText || removed) schedule();
});

export function startPresence(): void {
  on("snapshot", () => queueMicrotask(flush));
  on("error", (message) => (message.re ?? heartbeatId) === heartbeatId && tellRefusal(message.problem));
  everySoOften(heartbeatEvery, flush);
  window.addEventListener("pagehide", () => {
    saveNow();
    leaveWhileClosing();
  });
}

/** Refusals that tell a person something; the others are between this client and the server. */
const worthTelling = new Set(["blocked", "too_many_sessions", "too_many_tiles", "too_many_active", "database_away"]);
const toldOfRefusal = new Map<string, number>();
const quietFor = 30_000;

function tellRefusal(problem: Problem): void {
  if (!worthTelling.has(problem.code)) return;
  const key = `${problem.code} ${String(problem.fields?.["stream_id"] ?? "")}`;
  if (Date.now() - (toldOfRefusal.get(key) ?? 0) < quietFor) return;
  toldOfRefusal.set(key, Date.now());
  say(inWords(new Refusal(problem)));
}

/** Tells the server that every tile of this tab is left: before signing out, and as the page goes. */
export function leaveEverything(): void {
  toldStreams = new Map();
  toldText = "";
  send({ type: "leave", sequence: nextSequence() });
}

function leaveWhileClosing(): void {
  if (!account.value || toldStreams.size === 0) return;
  toldText = "";
  postWhileClosing("/api/presence/leave", { session_id: sessionId(), sequence: nextSequence() });
}

/** Gives a stream's seat back and asks for a new one after a pause (milliseconds). */
export function askAnew(streamId: string, pause: number): void {
  if (restingIds.value.has(streamId)) return;
  restingIds.value = new Set(restingIds.value).add(streamId);
  window.setTimeout(() => {
    const rest = new Set(restingIds.value);
    rest.delete(streamId);
    restingIds.value = rest;
  }, Math.max(pause, 4 * coalesce));
}

/* What can be seen ------------------------------------------------------------------------- */

const elements = new Map<Element, string>();
const onScreen = new Set<string>();
const switching = new Map<string, number>();
const observer = new IntersectionObserver(seen, { threshold: enough });

function seen(entries: IntersectionObserverEntry[]): void {
  for (const entry of entries) {
    const streamer = elements.get(entry.target);
    if (streamer !== undefined) setOnScreen(streamer, entry.intersectionRatio >= enough);
  }
}

function setOnScreen(streamer: string, isOnScreen: boolean): void {
  if (isOnScreen) onScreen.add(streamer);
  else onScreen.delete(streamer);
  settle(streamer);
}

/** Showing waits a little, hiding waits longer; a change back in between says nothing at all. */
function settle(streamer: string): void {
  window.clearTimeout(switching.get(streamer));
  switching.delete(streamer);
  const shall = onScreen.has(streamer) && document.visibilityState === "visible";
  if (shall === visibleIds.value.has(streamer)) return;
  const wait = shall ? (firstLook(streamer) ? 0 : showAfter) : hideAfter;
  switching.set(streamer, window.setTimeout(() => setVisible(streamer, shall), wait));
}

const looked = new Set<string>();
/** A tile seen for the first time counts at once: a click right after adding it must not wait. */
function firstLook(streamer: string): boolean {
  const first = !looked.has(streamer);
  looked.add(streamer);
  return first;
}

function setVisible(streamer: string, isVisible: boolean): void {
  switching.delete(streamer);
  const next = new Set(visibleIds.value);
  if (isVisible) next.add(streamer);
  else next.delete(streamer);
  visibleIds.value = next;
}

/** Follows the place where a tile is drawn. Gone from the page is hidden, with hiding's patience. */
export function observeTile(streamer: string, element: Element): () => void {
  elements.set(element, streamer);
  observer.observe(element);
  return () => {
    observer.unobserve(element);
    elements.delete(element);
    if (![...elements.values()].includes(streamer)) setOnScreen(streamer, false);
  };
}

document.addEventListener("visibilitychange", () => {
  for (const streamer of new Set([...onScreen, ...visibleIds.value])) settle(streamer);
});
