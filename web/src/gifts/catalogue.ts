import { signal } from "@preact/signals";
import { get } from "../api";
import type { GiftType } from "../protocol";

/** What can be given, cheapest first; null until it was heard. */
export const giftTypes = signal<readonly GiftType[] | null>(null);
export const giftTypesFailed = signal(false);

let isLoading = false;

export async function loadGiftTypes(): Promise<void> {
  if (isLoading || giftTypes.value !== null) return;
  isLoading = true;
  giftTypesFailed.value = false;
  try {
    giftTypes.value = (await get<{ gift_types: GiftType[] }>("/api/gift-types")).gift_types;
  } catch {
    giftTypesFailed.value = true;
  } finally {
    isLoading = false;
  }
}
