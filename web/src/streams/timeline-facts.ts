import type { Intervals } from "../protocol";
import { timeOfDay } from "../ui/words";

const hour = 3_600_000;
const shortest = 15 * 60_000;

interface Span {
  from: number;
  to: number;
  title: string;
}

export interface TimelineFacts {
  start: number;
  end: number;
  sent: Span[];
  live: number;
  sentFor: number;
}

/** The last stretch of being live (at most three hours), and what of it video was sent. */
export function timelineOf(answer: Intervals, now: number): TimelineFacts {
  const spans = answer.live.map((span) => [time(span.started_at), time(span.ended_at) ?? now] as const);
  const first = Math.min(...spans.map(([from]) => from ?? now), now - shortest);
  const start = Math.max(first, now - 3 * hour);
  const sent = answer.intervals.flatMap((interval) => {
    const from = Math.max(start, time(interval.started_at) ?? now);
    const to = time(interval.ended_at) ?? now;
    const title = `${timeOfDay(from)} to ${interval.ended_at ? timeOfDay(to) : "now"}: sent video`;
    return to > from ? [{ from, to, title }] : [];
  });
  const live = spans.reduce((sum, [from, to]) => sum + Math.max(0, to - Math.max(start, from ?? now)), 0);
  const sentFor = sent.reduce((sum, span) => sum + span.to - span.from, 0);
  return { start, end: now, sent, live, sentFor };
}

function time(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
