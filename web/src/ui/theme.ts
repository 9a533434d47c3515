import { effect, signal } from "@preact/signals";

export type Theme = "system" | "dark" | "light";

const key = "livewall.theme";
const stored = localStorage.getItem(key);
export const theme = signal<Theme>(stored === "dark" || stored === "light" ? stored : "system");

effect(() => {
  if (theme.value === "system") {
    localStorage.removeItem(key);
    delete document.documentElement.dataset["theme"];
    return;
  }
  localStorage.setItem(key, theme.value);
  document.documentElement.dataset["theme"] = theme.value;
});
