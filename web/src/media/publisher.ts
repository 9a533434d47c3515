import { send } from "../socket";
import type { Seated, SignalData, SignalMessage } from "../protocol";
import { candidateBox, newConnection } from "./connection";

/**
 * The sending end: one connection for each seated watcher, none while nobody is to get video.
 * `reconcile` is told the whole truth each time and closes or opens what differs from it. A path
 * that broke is closed; the watcher notices too and comes back with a new seat.
 */
const maxBitrate = 800_000;

interface Sending {
  seated: Seated;
  pc: RTCPeerConnection;
  box: ReturnType<typeof candidateBox>;
}

const sendings = new Map<string, Sending>();

/** A watcher who reloads keeps the seat's media id but comes over another connection. */
function keyOf(seated: Seated): string {
  return `${seated.media_id} ${seated.connection}`;
}

export function isSendingToAnybody(): boolean {
  return sendings.size > 0;
}

export function reconcile(watchers: readonly Seated[], camera: MediaStream | null): void {
  const wanted = new Map(watchers.map((seated) => [keyOf(seated), seated]));
  for (const [key, sending] of sendings) if (!wanted.has(key)) end(key, sending);
  if (camera === null) return;
  for (const [key, seated] of wanted) if (!sendings.has(key)) void offer(seated, camera);
}

async function offer(seated: Seated, camera: MediaStream): Promise<void> {
  const pc = newConnection();
  const sending: Sending = { seated, pc, box: candidateBox(pc) };
  sendings.set(keyOf(seated), sending);
  for (const track of camera.getTracks()) addTrack(pc, track, camera);
  pc.onicecandidate = ({ candidate }) => tell(sending, { kind: "candidate", candidate: candidate?.toJSON() ?? null });
  pc.onconnectionstatechange = () => {
    if (pc.connectionState === "connected") void shape(pc);
    if (pc.connectionState === "failed") end(keyOf(seated), sending);
  };
  await describe(sending);
}

function addTrack(pc: RTCPeerConnection, track: MediaStreamTrack, camera: MediaStream): void {
  const init: RTCRtpTransceiverInit = { direction: "sendonly", streams: [camera] };
  if (track.kind === "video") init.sendEncodings = [{ maxBitrate }];
  pc.addTransceiver(track, init);
}

async function describe(sending: Sending): Promise<void> {
  const { pc } = sending;
  try {
    await pc.setLocalDescription();
    tell(sending, { kind: "offer", sdp: pc.localDescription?.sdp ?? "" });
  } catch {
    // Closed in between: the watcher left while the offer was made.
  }
}

/** Evenly less sharp and less smooth when the line is narrow. */
async function shape(pc: RTCPeerConnection): Promise<void> {
  for (const sender of pc.getSenders()) {
    if (sender.track?.kind !== "video") continue;
    const parameters = sender.getParameters() as RTCRtpSendParameters & { degradationPreference?: string };
    parameters.degradationPreference = "balanced";
    await sender.setParameters(parameters).catch(() => undefined);
  }
}

function tell(sending: Sending, data: SignalData): void {
  const { connection, media_id } = sending.seated;
  send({ type: "signal", to: connection, media_id, data });
}

function end(key: string, sending: Sending): void {
  sendings.delete(key);
  tell(sending, { kind: "ended" });
  sending.pc.onicecandidate = null;
  sending.pc.onconnectionstatechange = null;
  sending.pc.close();
}

export function endAll(): void {
  for (const [key, sending] of [...sendings]) end(key, sending);
}

/** Another camera or microphone, without a new connection. */
export async function replaceTracks(camera: MediaStream): Promise<void> {
  for (const { pc } of sendings.values()) {
    for (const sender of pc.getSenders()) {
      const kind = sender.track?.kind ?? "";
      const track = camera.getTracks().find((candidate) => candidate.kind === kind);
      if (track) await sender.replaceTrack(track).catch(() => undefined);
    }
  }
}

export function takeSignal(message: SignalMessage): void {
  const sending = [...sendings.values()].find(
    ({ seated }) => seated.media_id === message.media_id && seated.connection === message.from,
  );
  if (sending === undefined) return;
  if (message.data.kind === "candidate") sending.box.take(message.data.candidate);
  if (message.data.kind === "answer") void accept(sending, message.data.sdp);
}

async function accept(sending: Sending, sdp: string): Promise<void> {
  try {
    await sending.pc.setRemoteDescription({ type: "answer", sdp });
    sending.box.described();
  } catch {
    // An answer to an offer that is no more; the watcher's own clock asks for a new seat.
  }
}
