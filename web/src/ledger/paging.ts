/** A list read in pages, newest first. `next` is where the older ones go on, null at the end. */
export interface Pages<T, C> {
  entries: readonly T[];
  next: C | null;
}

type KeyOf<T> = (entry: T) => string;

/** Adds a page of older entries; what is known already is not repeated. */
export function withOlder<T, C>(known: Pages<T, C>, page: Pages<T, C>, keyOf: KeyOf<T>): Pages<T, C> {
  const seen = new Set(known.entries.map(keyOf));
  return { entries: [...known.entries, ...page.entries.filter((entry) => !seen.has(keyOf(entry)))], next: page.next };
}

/** Reads as many entries as are shown, or a page: whatever of them has changed is seen. */
export async function readShown<T, C>(read: (from: C | null) => Promise<Pages<T, C>>, keyOf: KeyOf<T>, shown: number): Promise<Pages<T, C>> {
  let pages = await read(null);
  while (pages.entries.length < shown && pages.next !== null) pages = withOlder(pages, await read(pages.next), keyOf);
  return pages;
}

/** Puts a fresh first page on top. With a gap between it and what is known, only the page is left. */
export function withNewest<T, C>(known: Pages<T, C>, page: Pages<T, C>, keyOf: KeyOf<T>): Pages<T, C> {
  const fresh = new Set(page.entries.map(keyOf));
  const older = known.entries.filter((entry) => !fresh.has(keyOf(entry)));
  const meets = older.length < known.entries.length;
  return meets ? { entries: [...page.entries, ...older], next: known.next } : page;
}
