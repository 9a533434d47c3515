import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import type { Intervals } from "../protocol";
import { clockOffset } from "../state";
import { minutes, timeOfDay } from "../ui/words";
import { epoch, holding, isPublished } from "./publishing";
import { timelineOf, type TimelineFacts } from "./timeline-facts";

/** Amber where video was sent: the proof that the camera sends only while somebody watches. */
export function Timeline() {
  const answer = useSignal<Intervals | null>(null);
  const now = useSignal(Date.now());
  useEffect(() => {
    const load = (): void => {
      get<Intervals>("/api/me/stream/intervals?hours=3")
        .then((heard) => (answer.value = heard))
        .catch(() => undefined);
    };
    load();
    const slow = window.setInterval(load, 30_000);
    const tick = window.setInterval(() => (now.value = Date.now()), 1000);
    return () => {
      window.clearInterval(slow);
      window.clearInterval(tick);
    };
  }, [epoch.value, isPublished.value, holding.value]);
  if (answer.value === null) return <div class="timeline skeleton" />;
  const facts = timelineOf(answer.value, Math.max(now.value, Date.now()) + clockOffset.value);
  return (
    <>
      <Bar facts={facts} />
      <p class="quiet small numbers" data-testid="timeline-sum">
        {sumInWords(facts)}
      </p>
    </>
  );
}

function Bar({ facts }: { facts: TimelineFacts }) {
  const percent = (at: number): string => `${((at - facts.start) / (facts.end - facts.start)) * 100}%`;
  const marks = [0, 0.25, 0.5, 0.75].map((part) => facts.start + part * (facts.end - facts.start));
  return (
    <>
      <div class="timeline" role="img" aria-label={`Timeline of sending. ${sumInWords(facts)}.`}>
        {facts.sent.map((span) => (
          <span key={span.from} title={span.title} style={{ left: percent(span.from), width: `calc(${percent(span.to)} - ${percent(span.from)})` }} />
        ))}
      </div>
      <div class="timeline-marks numbers" aria-hidden="true">
        {marks.map((mark) => (
          <span key={mark}>{timeOfDay(mark)}</span>
        ))}
        <span>now</span>
      </div>
    </>
  );
}

function sumInWords(facts: TimelineFacts): string {
  if (facts.live === 0) return "You were not live in the last three hours";
  const saved = Math.max(0, facts.live - facts.sentFor);
  return `Live for ${minutes(facts.live)} · sent video for ${minutes(facts.sentFor)} · ${minutes(saved)} saved`;
}
