import { computed, effect, signal } from "@preact/signals";
import { get, post, put, remove } from "../api";
import type { ProfilePage } from "../protocol";
import { account, blocked } from "../state";
import { act } from "../status";

/** Profile pages by name, as last fetched. */
export const profiles = signal<ReadonlyMap<string, ProfilePage>>(new Map());
const loading = new Set<string>();

export function remember(profile: ProfilePage): void {
  profiles.value = new Map(profiles.value).set(profile.name, profile);
}

/** Fetches a profile unless it is at hand; `isFresh` asks anew. */
export async function loadProfile(name: string, isFresh = false): Promise<void> {
  if (loading.has(name) || (profiles.value.has(name) && !isFresh)) return;
  loading.add(name);
  try {
    remember(await get<ProfilePage>(`/api/profiles/${encodeURIComponent(name)}`));
  } finally {
    loading.delete(name);
  }
}

export async function setFollowing(profile: ProfilePage, shall: boolean): Promise<void> {
  const path = `/api/follows/${encodeURIComponent(profile.name)}`;
  const done = shall ? `You follow ${profile.display_name}.` : `You do not follow ${profile.display_name} any more.`;
  if (!(await act(() => (shall ? put(path) : remove(path)), done))) return;
  remember({ ...profile, you_follow: shall, followers: profile.followers + (shall ? 1 : -1) });
}

export async function setBlocked(person: { id: string; name: string; display_name: string }, shall: boolean): Promise<void> {
  const path = `/api/blocks/${encodeURIComponent(person.name)}`;
  const done = shall ? `${person.display_name} is blocked: you do not meet here any more.` : `${person.display_name} is not blocked any more.`;
  if (!(await act(() => (shall ? put(path) : remove(path)), done))) return;
  const next = new Set(blocked.value);
  if (shall) next.add(person.id);
  else next.delete(person.id);
  blocked.value = next;
  await loadProfile(person.name, true).catch(() => undefined);
}

export async function reportMessage(messageId: number, reason: string): Promise<void> {
  await act(() => post(`/api/chat/${messageId}/reports`, { reason }), "Thank you. A moderator will look at it.");
}

// What "you follow" and "you block" mean changes with who is signed in.
const whoAmI = computed(() => account.value?.profile.id);
effect(() => {
  void whoAmI.value;
  profiles.value = new Map();
});
