import { signal } from "@preact/signals";
import type { ComponentChildren, TargetedMouseEvent } from "preact";
import { originOf, wayBack } from "./identity/way-back";

/** The path of the page, e.g. `/studio` or `/@ana`. */
export const path = signal(location.pathname);

export function navigate(to: string): void {
  if (to === path.value) return;
  history.pushState(originOf(path.value, history.state), "", to);
  path.value = to;
  window.scrollTo(0, 0);
}

/** After signing in: to where one was. The browser's history knows it, also after a reload. */
export const navigateBack = (): void => navigate(wayBack(history.state));

window.addEventListener("popstate", () => (path.value = location.pathname));

interface LinkProps {
  href: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-label"?: string;
}

/** A link within Livewall; new tabs and modified clicks stay the browser's business. */
export function Link({ href, children, ...rest }: LinkProps) {
  const follow = (event: TargetedMouseEvent<HTMLAnchorElement>): void => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  const current = path.value === href ? "page" : undefined;
  return (
    <a {...rest} href={href} aria-current={current} onClick={follow}>
      {children}
    </a>
  );
}

/** A part of an address as people write it; as it stands where its escapes are broken. */
export function readable(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const profilePath = (name: string): string => `/@${encodeURIComponent(name)}`;
