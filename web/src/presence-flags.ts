import type { Tile } from "./protocol";

/** What decides the flags of one tile. */
export interface TileFacts {
  streamId: string;
  isMuted: boolean;
  isPlaying: boolean;
  isVisible: boolean;
  needsTap: boolean;
  isResting: boolean;
}

/** The four flags of one tile. `is_subscribed` is intent: a click is enough, media need not flow. */
export function flagsOf(facts: TileFacts): Tile {
  return {
    stream_id: facts.streamId,
    is_active: facts.isPlaying,
    is_unmuted: !facts.isMuted,
    is_visible: facts.isVisible,
    is_subscribed: facts.isPlaying && !facts.needsTap && !facts.isResting,
  };
}

export function isWanted(tile: Tile): boolean {
  return tile.is_active && tile.is_unmuted && tile.is_visible && tile.is_subscribed;
}
