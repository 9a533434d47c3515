import { computed, signal } from "@preact/signals";
import { on } from "./socket";
import { newerStream } from "./streams/epochs";
import type { Account, SeatMessage, Slot, Snapshot, Stream } from "./protocol";

/** undefined: not known yet; null: signed out. */
export const account = signal<Account | null | undefined>(undefined);
export const streams = signal<ReadonlyMap<string, Stream>>(new Map());
export const slots = signal<readonly Slot[]>([]);
export const seats = signal<ReadonlyMap<string, SeatMessage>>(new Map());
export const blocked = signal<ReadonlySet<string>>(new Set());
export const ownStream = signal<Stream | null>(null);
export const limits = signal({ tiles: 12, active: 4, seats: 6 });
export const iceServers = signal<{ servers: RTCIceServer[]; relayOnly: boolean }>({ servers: [], relayOnly: false });
/** True once the first snapshot of this sign-in has arrived. */
export const ready = signal(false);
/** Server clock minus ours, in milliseconds. */
export const clockOffset = signal(0);

export const streamOf = computed(() => {
  const byStreamer = new Map<string, Stream>();
  for (const stream of streams.value.values()) byStreamer.set(stream.streamer.id, stream);
  return byStreamer;
});

export const liveStreams = computed(() =>
  [...streams.value.values()]
    .filter((stream) => stream.live_available && !blocked.value.has(stream.streamer.id))
    .sort((a, b) => b.active_viewer_count - a.active_viewer_count || a.streamer.name.localeCompare(b.streamer.name)),
);

export const isStaff = computed(() =>
  (account.value?.roles ?? []).some((role) => role === "moderator" || role === "admin"),
);

/** Who sees the operator's console. The server checks it again with every call. */
export const decidesMoney = computed(() =>
  (account.value?.roles ?? []).some((role) => role === "finance" || role === "admin"),
);

export function takeStream(heard: Stream): void {
  const known = streams.value.get(heard.id);
  const newer = newerStream(known, heard);
  if (newer === known) return;
  streams.value = new Map(streams.value).set(heard.id, newer);
  if (ownStream.value?.id === heard.id || heard.streamer.id === account.value?.profile.id) ownStream.value = newer;
}

/** Streams from a list over HTTP: may be older than what the socket said at the same epoch. */
export function learnStreams(listed: readonly Stream[]): void {
  const next = new Map(streams.value);
  for (const stream of listed) {
    const known = next.get(stream.id);
    const socketKnowsBetter = ready.value && known !== undefined && known.publish_epoch === stream.publish_epoch;
    if (!socketKnowsBetter || known.preview_version < stream.preview_version) {
      next.set(stream.id, newerStream(known, stream));
    }
  }
  streams.value = next;
}

function takeSnapshot(snapshot: Snapshot): void {
  const next = new Map<string, Stream>();
  const fromSlots = snapshot.slots.flatMap((slot) => (slot.stream ? [slot.stream] : []));
  for (const stream of [...fromSlots, ...snapshot.streams]) next.set(stream.id, stream);
  if (snapshot.own_stream) next.set(snapshot.own_stream.id, snapshot.own_stream);
  streams.value = next;
  account.value = snapshot.account;
  blocked.value = new Set(snapshot.blocked);
  ownStream.value = snapshot.own_stream;
  limits.value = snapshot.limits;
  iceServers.value = { servers: snapshot.ice_servers, relayOnly: snapshot.relay_only };
  clockOffset.value = Date.parse(snapshot.server_time) - Date.now();
}

function takeSeat(seat: SeatMessage): void {
  const next = new Map(seats.value);
  if (seat.state === "none") next.delete(seat.stream_id);
  else next.set(seat.stream_id, seat);
  seats.value = next;
}

export function forgetEverything(): void {
  streams.value = new Map();
  slots.value = [];
  seats.value = new Map();
  blocked.value = new Set();
  ownStream.value = null;
  ready.value = false;
}

on("snapshot", takeSnapshot);
on("stream", (message) => takeStream(message.stream));
on("seat", takeSeat);
