import { uuid } from "./uuid";

/** This tab's session id: one per tab, kept over a reload, never shared by two open tabs. */

const key = "livewall.session";
const sequenceKey = "livewall.sequence";

let current = sessionStorage.getItem(key) ?? fresh();
let lastSequence = Number(sessionStorage.getItem(sequenceKey) ?? 0);

function fresh(): string {
  const id = uuid();
  sessionStorage.setItem(key, id);
  return id;
}

export const sessionId = (): string => current;

export function newSessionId(): void {
  current = fresh();
}

/** Grows with every heartbeat and leave of this session, also across a reload. */
export function nextSequence(): number {
  lastSequence = Math.max(Date.now(), lastSequence + 1);
  sessionStorage.setItem(sequenceKey, String(lastSequence));
  return lastSequence;
}

/** A duplicated tab starts with a copy of the session id. The lock shows who had it first; a reload
 * waits a moment for its own former page to let go. */
export async function claimSessionId(): Promise<void> {
  if (!("locks" in navigator)) return;
  if (!(await hold(current, 400))) {
    newSessionId();
    await hold(current, 400);
  }
}

function hold(id: string, patience: number): Promise<boolean> {
  const signal = AbortSignal.timeout(patience);
  return new Promise((settle) => {
    const forever = (): Promise<void> => {
      settle(true);
      return new Promise(() => undefined);
    };
    navigator.locks.request(`livewall-${id}`, { signal }, forever).catch(() => settle(false));
  });
}
