import { computed, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { reading } from "../reading";
import { readShown, withNewest, withOlder, type Pages } from "./paging";

export interface PagedList<T, C> {
  pages: Signal<Pages<T, C> | null>;
  problem: ReadonlySignal<string | null>;
  /** Whether older ones were asked for and are on their way. */
  isReadingOlder: ReadonlySignal<boolean>;
  /** Reads anew: the first page, or all that is shown where entries change. */
  refresh: () => Promise<void>;
  /** Reads the page of older ones. */
  more: () => Promise<void>;
  /** Reads what failed. */
  retry: () => void;
  end: () => void;
}

export interface Source<T, C> {
  read: (from: C | null) => Promise<Pages<T, C>>;
  keyOf: (entry: T) => string;
  /** Whether entries change once they are there: then a refresh reads all that is shown. */
  doChange?: boolean;
}

/** A list in pages, of one subject: what is asked of it after its end does nothing. */
export function pagedList<T, C>({ read, keyOf, doChange = false }: Source<T, C>): PagedList<T, C> {
  const pages = signal<Pages<T, C> | null>(null);
  const noNewest = signal<string | null>(null);
  const noOlder = signal<string | null>(null);
  const isReadingOlder = signal(false);
  const shown = (): number => pages.value?.entries.length ?? 0;

  /** What is added meanwhile is read with it. */
  const readAll = async (): Promise<Pages<T, C>> => {
    let known: number;
    let fresh: Pages<T, C>;
    do {
      known = shown();
      fresh = await readShown(read, keyOf, known);
    } while (shown() > known);
    return fresh;
  };
  const readOlder = async (): Promise<Pages<T, C> | null> => {
    const from = pages.value?.next ?? null;
    if (from === null) return null;
    const page = await read(from);
    // The list was read anew meanwhile, and may end elsewhere.
    return pages.value?.next === from ? page : readOlder();
  };
  const takeNewest = (page: Pages<T, C>): void => {
    pages.value = doChange || pages.value === null ? page : withNewest(pages.value, page, keyOf);
  };
  const takeOlder = (page: Pages<T, C> | null): void => {
    if (page !== null && pages.value !== null) pages.value = withOlder(pages.value, page, keyOf);
  };

  const newest = reading(doChange ? readAll : () => read(null), { take: takeNewest, problem: noNewest });
  const older = reading(readOlder, { take: takeOlder, problem: noOlder });
  const more = async (): Promise<void> => {
    if (isReadingOlder.value) return;
    isReadingOlder.value = true;
    await older.refresh();
    isReadingOlder.value = false;
  };
  const retry = (): void => {
    if (noOlder.value !== null) void more();
    if (noNewest.value !== null || noOlder.value === null) void newest.refresh();
  };
  const end = (): void => {
    newest.end();
    older.end();
  };
  return { pages, problem: computed(() => noNewest.value ?? noOlder.value), isReadingOlder, refresh: newest.refresh, more, retry, end };
}
