const hues = 8;

/** One of eight quiet colours, the same for a name everywhere. */
export function hueOf(name: string): number {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 997;
  return sum % hues;
}

export function Avatar({ name, size = "middle" }: { name: string; size?: "small" | "middle" | "large" }) {
  const letter = [...name][0]?.toUpperCase() ?? "?";
  return (
    <span class={`avatar avatar-${size} hue-${hueOf(name)}`} aria-hidden="true">
      {letter}
    </span>
  );
}
