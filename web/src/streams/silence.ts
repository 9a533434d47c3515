import { effect, type ReadonlySignal } from "@preact/signals";

/** Acts once `isOpen` has been false for so many milliseconds on end, each time anew. */
export function afterSilence(isOpen: ReadonlySignal<boolean>, milliseconds: number, act: () => void): () => void {
  return effect(() => {
    if (isOpen.value) return;
    const timer = setTimeout(act, milliseconds);
    return () => clearTimeout(timer);
  });
}
