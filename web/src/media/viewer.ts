import { signal, type Signal } from "@preact/signals";
import { askAnew, onTold } from "../presence";
import { on, send } from "../socket";
import { seats, streams } from "../state";
import type { SeatMessage, SignalData, SignalMessage } from "../protocol";
import { candidateBox, newConnection } from "./connection";
import { sessionOf } from "./sdp";

/**
 * The watching end: one connection for each seat granted to this tab. The streamer offers, we
 * answer. Lives outside the components; a tile only attaches `stream` to its video element.
 */
const patience = 8000;
const disconnectedFor = 5000;
const longestPause = 15_000;

interface Viewing {
  streamId: string;
  mediaId: string;
  publisher: string;
  pc: RTCPeerConnection;
  session: string;
  box: ReturnType<typeof candidateBox>;
}

/** Streams whose streamer lost their line to the server: a reason for frames that stall. */
export const awayIds = signal<ReadonlySet<string>>(new Set());

const viewings = new Map<string, Viewing>();
const media = new Map<string, Signal<MediaStream | null>>();
const watchdogs = new Map<string, number>();
const failures = new Map<string, number>();

/** The picture and sound arriving for a stream, or null. */
export function mediaOf(streamId: string): Signal<MediaStream | null> {
  let known = media.get(streamId);
  if (known === undefined) media.set(streamId, (known = signal<MediaStream | null>(null)));
  return known;
}

function takeSeat(seat: SeatMessage): void {
  const viewing = viewings.get(seat.stream_id);
  if (seat.state === "granted" && seat.media_id !== null) {
    if (viewing && viewing.mediaId !== seat.media_id) close(seat.stream_id);
    else if (viewing && seat.publisher !== null) viewing.publisher = seat.publisher;
    if (!viewings.has(seat.stream_id)) watch(seat.stream_id);
    return;
  }
  close(seat.stream_id);
}

/** A granted seat that brings no connection in time is given back and asked for anew. */
function watch(streamId: string): void {
  window.clearTimeout(watchdogs.get(streamId));
  watchdogs.set(streamId, window.setTimeout(() => isLate(streamId), patience));
}

function isLate(streamId: string): void {
  watchdogs.delete(streamId);
  const granted = seats.value.get(streamId)?.state === "granted";
  if (!granted || viewings.get(streamId)?.pc.connectionState === "connected") return;
  if (streams.value.get(streamId)?.is_published) failed(streamId);
  else watch(streamId);
}

async function takeOffer(message: SignalMessage, sdp: string): Promise<void> {
  const seat = seats.value.get(message.stream_id);
  if (seat?.state !== "granted" || seat.media_id !== message.media_id) return;
  let viewing = viewings.get(message.stream_id);
  if (viewing === undefined || viewing.session !== sessionOf(sdp)) {
    release(message.stream_id);
    viewing = open(message, sdp);
  }
  viewing.publisher = message.from;
  try {
    await viewing.pc.setRemoteDescription({ type: "offer", sdp });
    viewing.box.described();
    await viewing.pc.setLocalDescription();
    const answer = viewing.pc.localDescription?.sdp ?? "";
    tell(viewing, { kind: "answer", sdp: answer });
  } catch {
    if (viewings.get(message.stream_id) === viewing) failed(message.stream_id);
  }
}

function open(message: SignalMessage, sdp: string): Viewing {
  const pc = newConnection();
  const viewing: Viewing = {
    streamId: message.stream_id,
    mediaId: message.media_id,
    publisher: message.from,
    pc,
    session: sessionOf(sdp),
    box: candidateBox(pc),
  };
  viewings.set(message.stream_id, viewing);
  pc.ontrack = (event) => arrive(viewing, event);
  pc.onicecandidate = ({ candidate }) => tell(viewing, { kind: "candidate", candidate: candidate?.toJSON() ?? null });
  pc.onconnectionstatechange = () => stateChanged(viewing);
  return viewing;
}

function tell(viewing: Viewing, data: SignalData): void {
  send({ type: "signal", to: viewing.publisher, media_id: viewing.mediaId, data });
}

function arrive(viewing: Viewing, event: RTCTrackEvent): void {
  if (viewings.get(viewing.streamId) !== viewing) return;
  const shown = mediaOf(viewing.streamId);
  const incoming = event.streams[0];
  if (incoming) {
    shown.value = incoming;
    return;
  }
  const together = new MediaStream(shown.value?.getTracks() ?? []);
  together.addTrack(event.track);
  shown.value = together;
}

function stateChanged(viewing: Viewing): void {
  const isCurrent = (): boolean => viewings.get(viewing.streamId) === viewing;
  if (!isCurrent()) return;
  const state = viewing.pc.connectionState;
  if (state === "connected") failures.delete(viewing.streamId);
  if (state === "failed") failed(viewing.streamId);
  if (state !== "disconnected") return;
  window.setTimeout(() => {
    if (isCurrent() && viewing.pc.connectionState === "disconnected") failed(viewing.streamId);
  }, disconnectedFor);
}

/** Gives the seat back and asks again: after half a second, then twice as long each time. */
function failed(streamId: string): void {
  const count = failures.get(streamId) ?? 0;
  failures.set(streamId, count + 1);
  close(streamId);
  askAnew(streamId, Math.min(longestPause, 500 * 2 ** count));
}

/** Ends the connection but leaves the last picture: a new offer follows at once. */
function release(streamId: string): void {
  const viewing = viewings.get(streamId);
  viewings.delete(streamId);
  if (viewing === undefined) return;
  viewing.pc.onconnectionstatechange = null;
  viewing.pc.ontrack = null;
  viewing.pc.onicecandidate = null;
  viewing.pc.close();
}

function close(streamId: string): void {
  window.clearTimeout(watchdogs.get(streamId));
  watchdogs.delete(streamId);
  release(streamId);
  mediaOf(streamId).value = null;
}

export function takeSignal(message: SignalMessage): void {
  const { data } = message;
  if (data.kind === "offer") {
    void takeOffer(message, data.sdp);
    return;
  }
  const viewing = viewings.get(message.stream_id);
  if (viewing === undefined || viewing.mediaId !== message.media_id) return;
  if (data.kind === "candidate") viewing.box.take(data.candidate);
  if (data.kind === "ended") ended(message.stream_id);
}

/** The streamer closed this connection. With the seat still ours, another offer may come. */
function ended(streamId: string): void {
  close(streamId);
  if (seats.value.get(streamId)?.state === "granted") watch(streamId);
}

function setAway(streamId: string, isAway: boolean): void {
  if (awayIds.value.has(streamId) === isAway) return;
  const next = new Set(awayIds.value);
  if (isAway) next.add(streamId);
  else next.delete(streamId);
  awayIds.value = next;
}

on("seat", takeSeat);
on("publisher_away", (message) => setAway(message.stream_id, true));
on("signal", (message) => setAway(message.stream_id, false));
onTold((wanted) => {
  for (const streamId of [...viewings.keys()]) if (!wanted.has(streamId)) close(streamId);
  // Off and on again faster than the server looked: the seat is still ours, but nothing is coming.
  for (const streamId of wanted) {
    const isIdle = !viewings.has(streamId) && !watchdogs.has(streamId);
    if (isIdle && seats.value.get(streamId)?.state === "granted") watch(streamId);
  }
});
