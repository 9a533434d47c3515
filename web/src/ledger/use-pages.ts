import { useEffect, useMemo } from "preact/hooks";
import { pagedList, type PagedList, type Source } from "./paged-list";

/** A list in pages. It is read when one of `watched` changes, and begun anew when `subject` does. */
export function usePages<T, C>(source: Source<T, C>, subject: string, watched: readonly unknown[] = []): PagedList<T, C> {
  const list = useMemo(() => pagedList(source), [subject]);
  useEffect(() => void list.refresh(), [list, ...watched]);
  useEffect(() => list.end, [list]);
  return list;
}
