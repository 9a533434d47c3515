import type { JSX } from "preact";
import { AuroraIcon, CrownIcon, HeartIcon, RoseIcon, StarIcon } from "../ui/icons";

/** Drawn here, for not every machine has a font of emoji. By the emoji, which is all a chat message tells. */
const drawn: Record<string, () => JSX.Element> = { "🌹": RoseIcon, "💛": HeartIcon, "⭐": StarIcon, "🌌": AuroraIcon, "👑": CrownIcon };

export const isDrawn = (emoji: string): boolean => Object.hasOwn(drawn, emoji);

/** A gift's picture; the emoji itself for one that we have no drawing of. */
export function GiftPicture({ emoji }: { emoji: string }) {
  const Drawing = drawn[emoji];
  return (
    <span class="gift-picture" aria-hidden="true">
      {Drawing ? <Drawing /> : emoji}
    </span>
  );
}
