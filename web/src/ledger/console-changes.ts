import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { on } from "../socket";

const askEvery = 10_000;
const changes = signal(0);
const changed = (): void => void changes.value++;

/** Grows when the operator's lists may have changed: heard of what is held, and looked for the rest. */
export function useConsoleChanges(): number {
  useEffect(() => {
    const timer = window.setInterval(() => !document.hidden && changed(), askEvery);
    return () => window.clearInterval(timer);
  }, []);
  return changes.value;
}

on("held", changed);
on("snapshot", changed);
