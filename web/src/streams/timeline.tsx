import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import type { Intervals } from "../protocol";
import { clockOffset } from "../state";
import { timeOfDay } from "../ui/words";
import { epoch, holding, isPublished } from "./publishing";
import { sumInWords, ticksOf, timelineOf, type TimelineFacts } from "./timeline-facts";

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
  const spans = (kind: "on" | "sent") =>
    facts[kind].map(({ from, to, title }) => (
      <span key={`${kind} ${from}`} class={`timeline-${kind}`} title={title} style={{ left: percent(from), width: `calc(${percent(to)} - ${percent(from)})` }} />
    ));
  return (
    <>
      <div class="timeline" role="img" aria-label={`Timeline of sending. ${sumInWords(facts)}.`}>
        {spans("on")}
        {spans("sent")}
      </div>
      <div class="timeline-marks numbers" aria-hidden="true">
        {ticksOf(facts).map((tick) => (
          <span key={tick} style={{ left: percent(tick) }}>
            {timeOfDay(tick)}
          </span>
        ))}
        <span class="timeline-now">now</span>
      </div>
      {facts.live > 0 && (
        <p class="timeline-legend quiet small" aria-hidden="true">
          <span class="timeline-key timeline-sent" /> sent video <span class="timeline-key timeline-on" /> live, not sending
        </p>
      )}
    </>
  );
}
