import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { Chat } from "../chat/chat";
import type { Stream } from "../protocol";
import { limits, ready, slots } from "../state";
import { CloseIcon, PlusIcon } from "../ui/icons";
import { decline, offers } from "./arrivals";
import { FocusPanel } from "./focus-panel";
import { arrange, keepPlaces, type Layout } from "./layout";
import { firstFree, slotAt, slotFor } from "./moves";
import { Picker } from "./picker";
import { moving, steerMoving } from "./rearrange";
import { placed, Tile } from "./tile";
import { onPhone, playingIds, putOnWall } from "./wall-state";

const wide = window.matchMedia("(min-width: 1200px)");

function useWide(): boolean {
  const isWide = useSignal(wide.matches);
  useEffect(() => {
    const change = (): void => void (isWide.value = wide.matches);
    wide.addEventListener("change", change);
    return () => wide.removeEventListener("change", change);
  }, []);
  return isWide.value;
}

let stage: string[] = [];

function useLayout(): Layout {
  const isWide = useWide();
  stage = keepPlaces(stage, playingIds.value);
  const playing = stage.flatMap((id) => slotFor(slots.value, id)?.slot_index ?? []);
  const width = onPhone.value ? "phone" : isWide ? "wide" : "middle";
  return arrange(shownPlaces(onPhone.value), playing, width);
}

/** All twelve places; on a phone the free ones shrink to a single "+ Add". */
function shownPlaces(isPhone: boolean): number[] {
  const all = Array.from({ length: limits.value.tiles }, (_, at) => at + 1);
  if (!isPhone) return all;
  const free = all.find((index) => !slotAt(slots.value, index));
  return all.filter((index) => slotAt(slots.value, index) || index === free);
}

export function Wall() {
  const layout = useLayout();
  const picking = useSignal<number | null>(null);
  const free = firstFree(slots.value);
  const offer = free === null ? undefined : offers.value[0];
  // Before the next paint: an arrow key pressed at once must not be missed.
  useLayoutEffect(() => {
    if (moving.value?.by !== "keys") return;
    const steer = (event: KeyboardEvent): void => steerMoving(event, layout);
    document.addEventListener("keydown", steer, true);
    return () => document.removeEventListener("keydown", steer, true);
  }, [moving.value?.by, layout]);
  if (!ready.value) return <WallSkeleton />;
  return (
    <div class="wall-page">
      <div class="wall-main">
        <h1 class="quiet-words">Your wall</h1>
        <div class="wall-frame">
          <div class="wall" data-columns={layout.columns} data-moving={moving.value !== null} data-testid="wall">
            {[...layout.cells.keys()].sort((a, b) => a - b).map((index) => {
              const slot = slotAt(slots.value, index);
              const cell = layout.cells.get(index) ?? { column: 1, row: 1, span: 1 };
              if (slot) return <Tile key={slot.streamer_id} slot={slot} cell={cell} />;
              if (offer && index === free) return <OfferTile key={`offer-${offer.id}`} index={index} cell={cell} stream={offer} />;
              return <EmptyTile key={`free-${index}`} index={index} cell={cell} pick={() => (picking.value = index)} />;
            })}
          </div>
        </div>
        <p class="quiet-words" role="status">
          {offer && `${offer.streamer.display_name} went live and can be added to your wall.`}
        </p>
        <FocusPanel />
      </div>
      <Chat />
      {picking.value !== null && <Picker index={picking.value} close={() => (picking.value = null)} />}
    </div>
  );
}

function EmptyTile({ index, cell, pick }: { index: number; cell: Parameters<typeof placed>[0]; pick: () => void }) {
  const isTarget = moving.value?.to === index;
  return (
    <article class="tile tile-empty" data-testid={`tile-${index}`} data-stream-id="" data-slot={index} data-state="empty" data-target={isTarget} style={placed(cell)}>
      <button type="button" class="tile-add" aria-label={`Add somebody to place ${index}`} onClick={pick}>
        <PlusIcon /> Add
      </button>
    </article>
  );
}

/** A free place that offers who has just gone live; on a wall somebody arranged, nobody walks in. */
function OfferTile({ index, cell, stream }: { index: number; cell: Parameters<typeof placed>[0]; stream: Stream }) {
  const name = stream.streamer.display_name;
  const isTarget = moving.value?.to === index;
  return (
    <article class="tile tile-empty" data-testid={`tile-${index}`} data-stream-id="" data-slot={index} data-state="empty" data-target={isTarget} style={placed(cell)}>
      <button type="button" class="tile-add tile-offer" onClick={() => putOnWall(stream, index)}>
        <span>
          <strong>{name}</strong> went live
        </span>{" "}
        <span class="offer-add">
          <PlusIcon /> Add
        </span>
      </button>
      <button type="button" class="tool offer-decline" aria-label={`Do not add ${name} now`} title="Not now" onClick={() => decline(stream)}>
        <CloseIcon />
      </button>
    </article>
  );
}

function WallSkeleton() {
  return (
    <div class="wall-page" aria-busy="true">
      <div class="wall-main">
        <p class="quiet-words" role="status">
          Loading your wall
        </p>
        <div class="wall-frame">
          <div class="wall" data-columns={4}>
            {Array.from({ length: 12 }, (_, at) => (
              <div key={at} class="tile skeleton" />
            ))}
          </div>
        </div>
      </div>
      <aside class="chat" />
    </div>
  );
}
