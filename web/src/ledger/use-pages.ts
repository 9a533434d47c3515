import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { inWords } from "../problems";
import { withNewest, withOlder, type Pages } from "./paging";

export interface PagedList<T, C> {
  pages: Signal<Pages<T, C> | null>;
  problem: Signal<string | null>;
  isLoading: Signal<boolean>;
  /** Reads the first page anew. */
  refresh: () => Promise<void>;
  more: () => Promise<void>;
}

interface Source<T, C> {
  read: (from: C | null) => Promise<Pages<T, C>>;
  keyOf: (entry: T) => string;
}

/** A list in pages. It is read when `watched` changes, and begun anew when `subject` does. */
export function usePages<T, C>({ read, keyOf }: Source<T, C>, subject: string, watched: unknown): PagedList<T, C> {
  const pages = useSignal<Pages<T, C> | null>(null);
  const problem = useSignal<string | null>(null);
  const isLoading = useSignal(false);
  const shown = useSignal(subject);
  const load = async (from: C | null): Promise<void> => {
    shown.value = subject;
    isLoading.value = true;
    try {
      const page = await read(from);
      if (shown.value !== subject) return;
      const known = pages.value;
      if (known === null) pages.value = page;
      else pages.value = from === null ? withNewest(known, page, keyOf) : withOlder(known, page, keyOf);
      problem.value = null;
    } catch (error) {
      if (shown.value === subject) problem.value = inWords(error);
    } finally {
      isLoading.value = false;
    }
  };
  useEffect(() => {
    if (shown.value !== subject) pages.value = null;
    void load(null);
  }, [subject, watched]);
  return { pages, problem, isLoading, refresh: () => load(null), more: () => load(pages.value?.next ?? null) };
}
