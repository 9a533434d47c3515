import type { GiftTarget } from "../gifts/sending";
import { account, blocked, slots, streamOf } from "../state";
import { slotFor } from "./moves";
import { nameOf } from "./wall-state";

/** Where a gift to somebody on the wall goes, or null where none can: to oneself, or after the stream. */
export function giftTarget(streamerId: string): GiftTarget | null {
  const slot = slotFor(slots.value, streamerId);
  const stream = streamOf.value.get(streamerId);
  const isMe = streamerId === account.value?.profile.id;
  if (!slot || !stream?.live_available || isMe || blocked.value.has(streamerId)) return null;
  return { recipientId: streamerId, name: nameOf(streamerId), slotIndex: slot.slot_index, streamId: stream.id };
}
