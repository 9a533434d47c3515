import type { SeatMessage, Slot, Stream } from "../protocol";
import type { Flow } from "./tile-video";

export type TileState = "empty" | "preview" | "connecting" | "playing" | "waiting" | "blocked" | "stalled" | "ended";

export interface TileView {
  slot: Slot | undefined;
  stream: Stream | null;
  isPlaying: boolean;
  needsTap: boolean;
  seat: SeatMessage | undefined;
  flow: Flow;
  isAway: boolean;
}

/** What a tile shows, from everything that is known about it. */
export function tileState(view: TileView): TileState {
  if (view.slot === undefined) return "empty";
  if (!view.stream?.live_available) return "ended";
  if (!view.isPlaying) return "preview";
  if (view.needsTap) return "blocked";
  if (view.flow === "flowing") return "playing";
  if (view.flow === "stalled") return "stalled";
  return view.seat?.state === "waiting" ? "waiting" : "connecting";
}

/** The sentence over the picture, or null when the picture says it all. */
export function noteOf(state: TileState, name: string, view: TileView): string | null {
  if (state === "stalled") return view.isAway ? `${name} lost the connection and may be back soon` : `Reconnecting to ${name}`;
  if (state === "waiting") return waitingNote(view.seat?.position ?? null);
  if (state === "ended") return "Not live";
  return null;
}

function waitingNote(position: number | null): string {
  if (position === null) return "All seats are taken. Yours comes when one is free.";
  return position === 1 ? "All seats are taken. You are next." : `All seats are taken. You are number ${position} in line.`;
}
