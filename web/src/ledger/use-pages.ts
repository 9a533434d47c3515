import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { stopTrying, tryAgain } from "../again";
import { inWords } from "../problems";
import { readShown, withNewest, withOlder, type Pages } from "./paging";

export interface PagedList<T, C> {
  pages: Signal<Pages<T, C> | null>;
  problem: Signal<string | null>;
  isLoading: Signal<boolean>;
  /** Reads anew: the first page, or all that is shown where entries change. */
  refresh: () => Promise<void>;
  more: () => Promise<void>;
}

interface Source<T, C> {
  read: (from: C | null) => Promise<Pages<T, C>>;
  keyOf: (entry: T) => string;
  /** Whether entries change once they are there: then a refresh reads all that is shown. */
  doChange?: boolean;
}

/** A list in pages. It is read when `watched` changes, and begun anew when `subject` does. */
export function usePages<T, C>({ read, keyOf, doChange = false }: Source<T, C>, subject: string, watched: unknown): PagedList<T, C> {
  const pages = useSignal<Pages<T, C> | null>(null);
  const problem = useSignal<string | null>(null);
  const isLoading = useSignal(false);
  const shown = useSignal(subject);
  const refreshes = useRef(0);
  const isOver = (): boolean => shown.value !== subject;

  const load = async (fetch: () => Promise<void>): Promise<void> => {
    shown.value = subject;
    isLoading.value = true;
    try {
      await fetch();
      if (isOver()) return;
      problem.value = null;
      stopTrying(pages);
    } catch (error) {
      if (isOver()) return;
      problem.value = inWords(error);
      tryAgain(pages, error, () => void refresh());
    } finally {
      isLoading.value = false;
    }
  };
  const readFirst = async (): Promise<void> => {
    const page = await read(null);
    if (!isOver()) pages.value = pages.value === null ? page : withNewest(pages.value, page, keyOf);
  };
  /** Of several at once the last one counts; what was added meanwhile is read with it. */
  const readAll = async (): Promise<void> => {
    const turn = ++refreshes.current;
    let known: Pages<T, C> | null;
    let fresh: Pages<T, C>;
    do {
      known = pages.value;
      fresh = await readShown(read, keyOf, known?.entries.length ?? 0);
      if (isOver() || turn !== refreshes.current) return;
    } while (pages.value !== known);
    pages.value = fresh;
  };
  const readOlder = async (): Promise<void> => {
    const from = pages.value?.next ?? null;
    if (from === null) return;
    const page = await read(from);
    if (isOver() || pages.value === null) return;
    // The list was read anew meanwhile, and may end elsewhere.
    if (pages.value.next !== from) return readOlder();
    pages.value = withOlder(pages.value, page, keyOf);
  };
  const refresh = (): Promise<void> => load(doChange ? readAll : readFirst);

  useEffect(() => {
    if (isOver()) {
      stopTrying(pages);
      pages.value = null;
    }
    void refresh();
  }, [subject, watched]);
  useEffect(() => () => stopTrying(pages), []);
  return { pages, problem, isLoading, refresh, more: () => load(readOlder) };
}
