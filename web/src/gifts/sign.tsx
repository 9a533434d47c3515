import { signal } from "@preact/signals";
import type { Gift } from "../protocol";
import { on } from "../socket";
import { GiftPicture } from "./gift-picture";

const shownFor = 6000;

/** The latest gift of each stream, for as long as its tile says so. */
const signs = signal<ReadonlyMap<string, Gift>>(new Map());

function show(streamId: string, gift: Gift): void {
  signs.value = new Map(signs.value).set(streamId, gift);
  window.setTimeout(() => {
    if (signs.value.get(streamId) !== gift) return;
    const rest = new Map(signs.value);
    rest.delete(streamId);
    signs.value = rest;
  }, shownFor);
}

on("gift", ({ stream_id, gift }) => show(stream_id, gift));

/** Short and calm: who gave what, on the tile it was given to. Chat reads it out, so this need not. */
export function GiftSign({ streamId }: { streamId: string }) {
  const gift = signs.value.get(streamId);
  if (gift === undefined) return null;
  return (
    <p key={gift.id} class="gift-sign" data-testid="gift-sign" aria-hidden="true">
      <GiftPicture emoji={gift.emoji} /> <strong>{gift.sender?.display_name ?? "Somebody"}</strong> <span>{gift.title}</span>
    </p>
  );
}
