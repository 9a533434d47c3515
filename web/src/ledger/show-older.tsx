import type { PagedList } from "./paged-list";

/** The way on at the end of a list that goes on. It keeps the focus while it works, so it is never disabled. */
export function ShowOlder<T, C>({ list }: { list: PagedList<T, C> }) {
  if (list.pages.value?.next == null) return null;
  return (
    <button type="button" class="button more" aria-disabled={list.isReadingOlder.value} onClick={() => void list.more()}>
      Show older
    </button>
  );
}
