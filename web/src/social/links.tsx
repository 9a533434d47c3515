import type { Link } from "../protocol";

/** The server keeps only http and https; anything else is not drawn as a link here either. */
export function Links({ links }: { links: readonly Link[] }) {
  const safe = links.filter((link) => /^https?:\/\//i.test(link.url));
  if (safe.length === 0) return null;
  return (
    <ul class="links">
      {safe.map((link) => (
        <li key={link.url}>
          <a href={link.url} target="_blank" rel="noopener noreferrer nofollow ugc">
            {link.label || link.url.replace(/^https?:\/\//i, "")}
          </a>
        </li>
      ))}
    </ul>
  );
}
