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

/** `crypto.randomUUID` exists on secure origins only; a wall on a home network may be plain http. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
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
