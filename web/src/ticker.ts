import TickerWorker from "./ticker.worker?worker";

type Task = { every: number; next: number; run: () => void };

const tasks = new Set<Task>();
let worker: Worker | undefined;

function beat(): void {
  const now = Date.now();
  for (const task of [...tasks]) {
    if (now < task.next) continue;
    task.next = now + task.every;
    task.run();
  }
}

/** Runs `task` every so many milliseconds (in steps of a second), hidden page or not. */
export function everySoOften(milliseconds: number, run: () => void): () => void {
  if (worker === undefined) {
    worker = new TickerWorker();
    worker.onmessage = beat;
  }
  // Half a second early, so that a beat landing just before the mark does not cost a whole second.
  const task = { every: milliseconds - 500, next: Date.now() + milliseconds - 500, run };
  tasks.add(task);
  return () => tasks.delete(task);
}
