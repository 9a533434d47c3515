import { signal } from "@preact/signals";
import type { Slot } from "../protocol";
import { slots } from "../state";
import { say } from "../status";
import type { Layout } from "./layout";
import { slotAt, wallSize } from "./moves";
import { moveTile, nameOf } from "./wall-state";

/** A tile on its way to another place, by pointer or by keyboard. */
export interface Moving {
  streamerId: string;
  from: number;
  to: number;
  by: "pointer" | "keys";
  /** How far the pointer has carried it, in pixels. */
  carried: readonly [x: number, y: number];
}

export const moving = signal<Moving | null>(null);

const startDistance = 8;
const longPress = 350;

/* Pointer ---------------------------------------------------------------------------------- */

/** A mouse drags after a few pixels, a finger after holding still, so that a swipe still scrolls. */
export function beginDrag(event: PointerEvent, slot: Slot): void {
  const target = event.target as Element;
  if (event.button !== 0 || target.closest(".tile-tools, .menu")) return;
  const start = { x: event.clientX, y: event.clientY };
  const isTouch = event.pointerType === "touch";
  let holdTimer = 0;
  const lift = (): void => {
    moving.value = { streamerId: slot.streamer_id, from: slot.slot_index, to: slot.slot_index, by: "pointer", carried: [0, 0] };
  };
  if (isTouch) holdTimer = window.setTimeout(lift, longPress);
  const move = (now: PointerEvent): void => {
    const distance = Math.hypot(now.clientX - start.x, now.clientY - start.y);
    if (moving.value === null && distance > startDistance) {
      if (isTouch) return finish(false);
      lift();
    }
    if (moving.value === null) return;
    moving.value = { ...moving.value, carried: [now.clientX - start.x, now.clientY - start.y] };
    aim(placeUnder(now) ?? slot.slot_index);
  };
  const finish = (isDropped: boolean): void => {
    window.clearTimeout(holdTimer);
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    window.removeEventListener("pointercancel", cancel);
    window.removeEventListener("touchmove", hold);
    if (moving.value === null) return;
    swallowNextClick();
    if (isDropped) drop();
    else cancelMoving();
  };
  const up = (): void => finish(true);
  const cancel = (): void => finish(false);
  const hold = (touch: TouchEvent): void => {
    if (moving.value !== null) touch.preventDefault();
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", cancel);
  window.addEventListener("touchmove", hold, { passive: false });
}

function placeUnder(event: PointerEvent): number | null {
  const place = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>("[data-slot]");
  return place ? Number(place.dataset["slot"]) : null;
}

/** The click that ends a drag is not a wish to watch. */
function swallowNextClick(): void {
  const swallow = (event: Event): void => {
    event.stopPropagation();
    event.preventDefault();
  };
  window.addEventListener("click", swallow, { capture: true, once: true });
  window.setTimeout(() => window.removeEventListener("click", swallow, { capture: true }), 50);
}

/* Keyboard --------------------------------------------------------------------------------- */

export function beginMoving(slot: Slot): void {
  moving.value = { streamerId: slot.streamer_id, from: slot.slot_index, to: slot.slot_index, by: "keys", carried: [0, 0] };
  say(`Moving ${nameOf(slot.streamer_id)}. Arrow keys choose a place, Enter drops it, Escape leaves it here.`);
}

export function steerMoving(event: KeyboardEvent, layout: Layout): void {
  const move = moving.value;
  if (move === null) return;
  const direction = directions[event.key];
  if (direction) aim(neighbour(layout, move.to, direction), true);
  else if (event.key === "Enter" || event.key === " ") drop();
  else if (event.key === "Escape") cancelMoving();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

type Direction = readonly [x: number, y: number];
const directions: Record<string, Direction> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The nearest place in a direction, measured between the middles of the cells. */
export function neighbour(layout: Layout, from: number, [x, y]: Direction): number {
  const middle = (index: number): [number, number] => {
    const cell = layout.cells.get(index) ?? { column: 1, row: 1, span: 1 };
    return [cell.column + cell.span / 2, cell.row + cell.span / 2];
  };
  const [fromX, fromY] = middle(from);
  let best = from;
  let bestCost = Infinity;
  for (const index of layout.cells.keys()) {
    const [toX, toY] = middle(index);
    const along = (toX - fromX) * x + (toY - fromY) * y;
    const aside = Math.abs((toX - fromX) * y) + Math.abs((toY - fromY) * x);
    const cost = along + 3 * aside;
    if (along > 0.1 && cost < bestCost) [best, bestCost] = [index, cost];
  }
  return best;
}

/* Both ------------------------------------------------------------------------------------- */

function aim(to: number, isSpoken = false): void {
  const move = moving.value;
  if (move === null || to === move.to || to < 1 || to > wallSize) return;
  moving.value = { ...move, to };
  const there = slotAt(slots.value, to);
  const who = there && there.streamer_id !== move.streamerId ? `, now ${nameOf(there.streamer_id)}` : "";
  if (isSpoken) say(`Place ${to} of ${wallSize}${who}.`);
}

function drop(): void {
  const move = moving.value;
  moving.value = null;
  if (move === null || move.from === move.to) return;
  moveTile(move.from, move.to);
  say(`${nameOf(move.streamerId)} is at place ${move.to} now.`);
}

export function cancelMoving(): void {
  if (moving.value?.by === "keys") say(`${nameOf(moving.value.streamerId)} stays where it was.`);
  moving.value = null;
}
