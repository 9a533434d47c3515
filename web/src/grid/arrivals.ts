import { computed, effect, signal } from "@preact/signals";
import { account, clockOffset, liveStreams, ready, slots } from "../state";
import type { Stream } from "../protocol";
import { newcomers } from "./moves";
import { moving } from "./rearrange";
import { fillPlaces, isUntouched } from "./wall-state";

/**
 * Who goes live while one looks at one's wall. A wall that nobody arranged yet takes them in on its
 * free places; a wall that somebody arranged is theirs, and is offered the newcomer.
 */
const openedAt = signal(0);
const declined = signal<ReadonlySet<string>>(new Set());

const others = computed(() => liveStreams.value.filter((stream) => stream.streamer.id !== account.value?.profile.id));

/** Who went live since this page is open and is not on the wall, the latest first. */
export const offers = computed<readonly Stream[]>(() =>
  newcomers(others.value, slots.value, openedAt.value).filter((stream) => !declined.value.has(keyOf(stream))),
);

/** Who goes live once more is news once more. */
const keyOf = (stream: Stream): string => `${stream.id} ${stream.live_since}`;

export function decline(stream: Stream): void {
  declined.value = new Set(declined.value).add(keyOf(stream));
}

effect(() => {
  if (ready.value) openedAt.value = Date.now() + clockOffset.peek();
});

effect(() => {
  // A gesture that is under way aims at the places as they are.
  if (!ready.value || !isUntouched.value || moving.value !== null) return;
  fillPlaces(others.value.map((stream) => stream.streamer));
});
