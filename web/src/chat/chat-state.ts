import { computed, effect, signal } from "@preact/signals";
import { get, post, put, remove } from "../api";
import { inWords, Refusal, retryAfter } from "../problems";
import { focusedStream } from "../grid/wall-state";
import { on, send } from "../socket";
import { account, blocked, isStaff, ready } from "../state";
import { act, say } from "../status";
import { studioIsOpen, holding } from "../streams/publishing";
import type { ChatMessage } from "../protocol";
import { merge } from "./merge";

interface Page {
  messages: ChatMessage[];
  next: number | null;
}

/** The chat on show: of the focused tile, or of one's own stream while the studio is open. */
export const chatStream = computed<string | null>(() => {
  if (studioIsOpen.value) return holding.value;
  return focusedStream.value?.id ?? null;
});

export const messages = signal<readonly ChatMessage[]>([]);
export const older = signal<number | null>(null);
export const chatState = signal<"loading" | "ready" | string>("loading");
export const isLoadingOlder = signal(false);
export const sendProblem = signal<string | null>(null);
/** When writing is possible again, in milliseconds since 1970; 0 when it is now. */
export const blockedUntil = signal(0);
export const isSending = signal(false);

export const shownMessages = computed(() =>
  messages.value.filter((message) => message.sender === null || !blocked.value.has(message.sender.id)),
);

async function loadNewest(streamId: string): Promise<void> {
  try {
    const page = await get<Page>(`/api/streams/${streamId}/chat?limit=50`);
    if (chatStream.value !== streamId) return;
    messages.value = merge(messages.value, page.messages);
    if (chatState.value !== "ready") older.value = page.next;
    chatState.value = "ready";
  } catch (error) {
    if (chatStream.value === streamId && messages.value.length === 0) chatState.value = inWords(error);
  }
}

export async function loadOlder(): Promise<void> {
  const streamId = chatStream.value;
  if (streamId === null || older.value === null || isLoadingOlder.value) return;
  isLoadingOlder.value = true;
  try {
    const page = await get<Page>(`/api/streams/${streamId}/chat?limit=50&before=${older.value}`);
    if (chatStream.value !== streamId) return;
    messages.value = merge(page.messages, messages.value);
    older.value = page.next;
  } catch (error) {
    say(inWords(error));
  } finally {
    isLoadingOlder.value = false;
  }
}

export function reload(): void {
  const streamId = chatStream.value;
  if (streamId === null) return;
  chatState.value = "loading";
  void loadNewest(streamId);
}

/** Sends a message; true when it was taken, so that the field may be emptied. */
export async function sendMessage(body: string): Promise<boolean> {
  const streamId = chatStream.value;
  if (streamId === null || body.trim() === "") return false;
  isSending.value = true;
  sendProblem.value = null;
  try {
    const message = await post<ChatMessage>(`/api/streams/${streamId}/chat`, { body });
    if (chatStream.value === streamId) messages.value = merge(messages.value, [message]);
    return true;
  } catch (error) {
    refused(error);
    return false;
  } finally {
    isSending.value = false;
  }
}

function refused(error: unknown): void {
  const wait = error instanceof Refusal ? retryAfter(error) : null;
  const isPause = error instanceof Refusal && (error.code === "rate_limited" || error.code === "slow_mode");
  if (isPause) blockedUntil.value = Date.now() + (wait ?? 5) * 1000;
  else sendProblem.value = inWords(error);
}

/** True when it is gone. */
export async function deleteMessage(message: ChatMessage): Promise<boolean> {
  return act(() => remove(`/api/chat/${message.id}`), "The message is deleted.");
}

export async function muteInChat(message: ChatMessage, seconds: number): Promise<void> {
  if (!message.sender) return;
  const path = `/api/streams/${message.stream_id}/mutes/${encodeURIComponent(message.sender.name)}`;
  await act(() => put(path, { seconds }), `${message.sender.display_name} can not write here for ${Math.round(seconds / 60)} minutes.`);
}

export async function unmuteInChat(message: ChatMessage): Promise<void> {
  if (!message.sender) return;
  const path = `/api/streams/${message.stream_id}/mutes/${encodeURIComponent(message.sender.name)}`;
  await act(() => remove(path), `${message.sender.display_name} can write here again.`);
}

export const moderatesHere = (streamerId: string | undefined): boolean =>
  isStaff.value || (streamerId !== undefined && streamerId === account.value?.profile.id);

effect(() => {
  const streamId = chatStream.value;
  if (!ready.value) return;
  messages.value = [];
  older.value = null;
  chatState.value = "loading";
  sendProblem.value = null;
  blockedUntil.value = 0;
  send({ type: "open_chat", stream_id: streamId });
  if (streamId !== null) void loadNewest(streamId);
});

on("snapshot", () => {
  send({ type: "open_chat", stream_id: chatStream.value });
  if (chatStream.value !== null) void loadNewest(chatStream.value);
});

on("chat", ({ message }) => {
  if (message.stream_id === chatStream.value) messages.value = merge(messages.value, [message]);
});

on("chat_deleted", ({ stream_id, id }) => {
  if (stream_id !== chatStream.value) return;
  messages.value = messages.value.map((message) => (message.id === id ? { ...message, is_deleted: true, body: "" } : message));
});
