import { signal } from "@preact/signals";
import { inWords } from "./problems";

/** The quiet status line at the foot of the page; also read out politely. */
export const statusLine = signal<{ text: string; key: number } | null>(null);
let timer = 0;
let count = 0;

export function say(text: string): void {
  statusLine.value = { text, key: ++count };
  window.clearTimeout(timer);
  timer = window.setTimeout(() => (statusLine.value = null), 4000 + text.length * 40);
}

/** Does what somebody pressed and says how it went; true when it is done. */
export async function act(run: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await run();
    say(done);
    return true;
  } catch (error) {
    say(inWords(error));
    return false;
  }
}
