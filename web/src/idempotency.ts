import { Refusal } from "./problems";
import { uuid } from "./uuid";

/**
 * Keys for what must happen once, however often it is sent. A key belongs to what somebody wants
 * ("this pack"), from the first press until the server's answer is certain.
 */
export interface Intents {
  /** The key of what is wanted: the one kept from an uncertain attempt, else a fresh one. */
  keyFor: (what: string) => string;
  /** Ends an attempt. Its key is kept only if the server may have acted all the same. */
  settle: (what: string, error?: unknown) => void;
}

export function intents(): Intents {
  const keys = new Map<string, string>();
  const keyFor = (what: string): string => {
    const key = keys.get(what) ?? uuid();
    keys.set(what, key);
    return key;
  };
  const settle = (what: string, error?: unknown): void => {
    if (error === undefined || !isUncertain(error)) keys.delete(what);
  };
  return { keyFor, settle };
}

/** No answer, half an answer (no refusal: the line broke in its middle), or one that says nothing
 * about what happened. A 4xx says: it did not. So does a provider's final no, which the same key
 * would only bring back. */
export function isUncertain(error: unknown): boolean {
  if (!(error instanceof Refusal)) return true;
  return error.code !== "provider_refused" && (error.problem.status === 0 || error.problem.status >= 500);
}
