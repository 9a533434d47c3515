import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { reading } from "./reading";

export interface Found<T> {
  /** Null until it was heard. */
  found: Signal<T | null>;
  problem: Signal<string | null>;
  refresh: () => Promise<void>;
}

interface Source<T> {
  read: () => Promise<T>;
  words?: (error: unknown) => string;
}

/** What a page shows. It is read when one of `watched` changes, and begun anew when `subject` does. */
export function useReading<T>({ read, words }: Source<T>, subject: string, watched: readonly unknown[] = []): Found<T> {
  const all = useMemo(() => {
    const found = signal<T | null>(null);
    const problem = signal<string | null>(null);
    return { found, problem, ...reading(read, { take: (heard) => (found.value = heard), problem, ...(words && { words }) }) };
  }, [subject]);
  useEffect(() => void all.refresh(), [all, ...watched]);
  useEffect(() => all.end, [all]);
  return all;
}
