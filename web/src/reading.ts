import type { Signal } from "@preact/signals";
import { stopTrying, tryAgain } from "./again";
import { inWords } from "./problems";

/** Something that is read anew whenever it may have changed. */
export interface Reading {
  refresh: () => Promise<void>;
  /** Nobody waits for it any more: what is on its way is not heard, and nothing is read or tried again. */
  end: () => void;
}

interface Told<T> {
  take: (found: T) => void;
  /** Why the last read failed, null once one has not. It is tried again by itself where that may help. */
  problem: Signal<string | null>;
  words?: (error: unknown) => string;
}

/** Answers overtake each other: what was asked for before the last thing heard, good or bad, comes too late. */
export function reading<T>(read: () => Promise<T>, { take, problem, words = inWords }: Told<T>): Reading {
  let asked = 0;
  let heard = 0;
  let isOver = false;
  const isLate = (turn: number): boolean => isOver || turn < heard;
  const refresh = async (): Promise<void> => {
    if (isOver) return;
    const turn = ++asked;
    try {
      const found = await read();
      if (isLate(turn)) return;
      heard = turn;
      take(found);
      problem.value = null;
      stopTrying(refresh);
    } catch (error) {
      if (isLate(turn)) return;
      heard = turn;
      problem.value = words(error);
      tryAgain(refresh, error, () => void refresh());
    }
  };
  const end = (): void => {
    isOver = true;
    stopTrying(refresh);
  };
  return { refresh, end };
}
