import type { Intervals } from "../protocol";
import { minutes, timeOfDay } from "../ui/words";

const second = 1000;
const minute = 60 * second;
const longest = 180 * minute;
const shortest = 15 * minute;

interface Span {
  from: number;
  to: number;
  title: string;
}

export interface TimelineFacts {
  start: number;
  end: number;
  on: Span[];
  sent: Span[];
  live: number;
  sentFor: number;
}

/** From when one went live, at most three hours ago, until now: when one was, and when video was sent. */
export function timelineOf(answer: Intervals, now: number): TimelineFacts {
  const earliest = now - longest;
  const began = answer.live.map((span) => Math.max(earliest, time(span.started_at) ?? now));
  const start = began.length === 0 ? earliest : Math.min(...began, now - shortest);
  const spans = (list: readonly { started_at: string; ended_at: string | null }[], words: string): Span[] =>
    list.flatMap(({ started_at, ended_at }) => {
      const from = Math.max(start, time(started_at) ?? now);
      const to = time(ended_at) ?? now;
      return to > from ? [{ from, to, title: `${timeOfDay(from)} to ${ended_at ? timeOfDay(to) : "now"}: ${words}` }] : [];
    });
  const on = spans(answer.live, "live");
  const sent = spans(answer.intervals, "sent video");
  return { start, end: now, on, sent, live: sum(on), sentFor: sum(sent) };
}

const sum = (spans: readonly Span[]): number => spans.reduce((total, span) => total + span.to - span.from, 0);

/** Round times of day for the axis, evenly spaced, and none where a label would meet the edge or "now". */
export function ticksOf({ start, end }: { start: number; end: number }): number[] {
  const width = end - start;
  const step = minute * ([5, 10, 15, 30, 60].find((length) => width / (length * minute) <= 5) ?? 60);
  const zone = new Date(start).getTimezoneOffset() * minute;
  const first = Math.ceil((start - zone) / step) * step + zone;
  const ticks = Array.from({ length: Math.floor((end - first) / step) + 1 }, (_, at) => first + at * step);
  return ticks.filter((tick) => tick > start + 0.06 * width && tick < end - 0.11 * width);
}

/** In one unit, the last figure being what the first two leave: as they stand there they add up. */
export function sumInWords({ live, sentFor }: { live: number; sentFor: number }): string {
  if (live === 0) return "You were not live in the last three hours";
  const unit = live < 10 * minute ? second : minute;
  const total = Math.floor(live / unit);
  const sent = Math.min(total, Math.max(sentFor > 0 ? 1 : 0, Math.round(sentFor / unit)));
  const words = (count: number): string => (unit === second ? exactly(count) : count === 0 ? "0 min" : minutes(count * unit));
  return `Live for ${words(total)} · sent video for ${words(sent)} · ${words(total - sent)} saved`;
}

function exactly(seconds: number): string {
  const parts = [Math.floor(seconds / 60), seconds % 60];
  if (parts[0] === 0) return `${parts[1]} s`;
  return parts[1] === 0 ? `${parts[0]} min` : `${parts[0]} min ${parts[1]} s`;
}

function time(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
