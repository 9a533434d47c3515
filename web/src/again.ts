import { Refusal } from "./problems";
import { on } from "./socket";

/** What was not read because the way was cut or the server was away: it is tried again by itself. */
interface Waiting {
  retry: () => void;
  tries: number;
  timer: number;
}

const waiting = new Map<object, Waiting>();
const longest = 30_000;

/** Tries again later, unless the answer would stay what it is. `of` stands for what failed: it waits once. */
export function tryAgain(of: object, error: unknown, retry: () => void): void {
  const tries = waiting.get(of)?.tries ?? 0;
  stopTrying(of);
  if (!passes(error)) return;
  const pause = Math.min(longest, 1000 * 2 ** tries);
  // Half of it by chance: those who were cut off together do not come back together.
  const timer = window.setTimeout(retry, pause * (0.5 + Math.random() / 2));
  waiting.set(of, { retry, tries: tries + 1, timer });
}

/** It succeeded, or nobody looks at it any more. */
export function stopTrying(of: object): void {
  window.clearTimeout(waiting.get(of)?.timer);
  waiting.delete(of);
}

function passes(error: unknown): boolean {
  return !(error instanceof Refusal) || error.problem.status === 0 || error.problem.status >= 500;
}

/** The way is there again: nobody waits for the rest of a pause. */
function tryNow(): void {
  for (const { retry, timer } of [...waiting.values()]) {
    window.clearTimeout(timer);
    retry();
  }
}

window.addEventListener("online", tryNow);
on("snapshot", tryNow);
