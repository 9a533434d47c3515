import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light" | "system";

const key = "livewall.theme";
const stored = localStorage.getItem(key);
const systemIsLight = matchMedia("(prefers-color-scheme: light)");
const systemLight = signal(systemIsLight.matches);
systemIsLight.addEventListener("change", () => (systemLight.value = systemIsLight.matches));

/** Dark unless somebody chooses otherwise: people are the colour, and video is best on a dark wall. */
export const theme = signal<Theme>(stored === "light" || stored === "system" ? stored : "dark");

effect(() => {
  const isLight = theme.value === "light" || (theme.value === "system" && systemLight.value);
  document.documentElement.dataset["theme"] = isLight ? "light" : "dark";
  localStorage.setItem(key, theme.value);
});
