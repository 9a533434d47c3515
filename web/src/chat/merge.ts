import type { ChatMessage } from "../protocol";

/** Oldest first, each once; a message heard again replaces what was known of it. */
export function merge(known: readonly ChatMessage[], heard: readonly ChatMessage[]): ChatMessage[] {
  const byId = new Map(known.map((message) => [message.id, message]));
  for (const message of heard) byId.set(message.id, message);
  return [...byId.values()].sort((a, b) => a.id - b.id);
}
