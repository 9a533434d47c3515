/** The pages where one signs in: nobody wants to return to them. */
const doors: readonly string[] = ["/sign-in", "/create-account"];

/** What an entry of the browser's history remembers about how one came to it. */
export interface Origin {
  from: string;
}

/** Where somebody who signs in returns to: a page of this site, or else the wall. */
export function wayBack(state: unknown): string {
  const from = typeof state === "object" && state !== null && "from" in state ? state.from : null;
  return typeof from === "string" && isOurs(from) ? from : "/";
}

/** A path alone: `//elsewhere` and `/\elsewhere` would be other sites. */
const isOurs = (path: string): boolean => /^\/(?![/\\])/.test(path);

/** What the next entry remembers; through a door one sees where one stood before it. */
export function originOf(path: string, state: unknown): Origin {
  return { from: doors.includes(path) ? wayBack(state) : path };
}
