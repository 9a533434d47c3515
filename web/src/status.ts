import { signal } from "@preact/signals";

/** The quiet status line at the foot of the page; also read out politely. */
export const statusLine = signal<{ text: string; key: number } | null>(null);
let timer = 0;
let count = 0;

export function say(text: string): void {
  statusLine.value = { text, key: ++count };
  window.clearTimeout(timer);
  timer = window.setTimeout(() => (statusLine.value = null), 4000 + text.length * 40);
}
