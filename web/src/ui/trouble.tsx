/** What could not be loaded, and the way to try again. */
export function Trouble({ words, retry }: { words: string; retry: () => void }) {
  return (
    <p class="trouble quiet" role="alert">
      {words}{" "}
      <button type="button" class="link-button" onClick={retry}>
        Try again
      </button>
    </p>
  );
}

/** The title of a list, and the way to look again without reloading the page. */
export function ListHead({ title, refresh }: { title: string; refresh: () => void }) {
  return (
    <header class="list-head">
      <h1>{title}</h1>
      <button type="button" class="button" onClick={refresh}>
        Refresh
      </button>
    </header>
  );
}

/** Grey lines in the place of a list that is on its way. */
export function LinesSkeleton({ label, lines = 3 }: { label: string; lines?: number }) {
  return (
    <div class="lines-skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} class="skeleton" />
      ))}
    </div>
  );
}
