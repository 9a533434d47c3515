import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import { Preview } from "../grid/preview";
import { slotFor } from "../grid/moves";
import { putOnWall } from "../grid/wall-state";
import { inWords } from "../problems";
import type { Stream } from "../protocol";
import { Link, profilePath } from "../router";
import { account, blocked, learnStreams, slots, streams } from "../state";
import { EyeIcon, PlusIcon } from "../ui/icons";
import { Lamp } from "../ui/lamp";
import { count, lasting } from "../ui/words";
import { say } from "../status";

const refreshEvery = 15_000;

export interface Live {
  list: Signal<Stream[] | null>;
  problem: Signal<string | null>;
  next: Signal<string | null>;
  more: () => Promise<void>;
}

/** Who is live, refreshed while the page is open and in front. */
export function useLive(): Live {
  const list = useSignal<Stream[] | null>(null);
  const problem = useSignal<string | null>(null);
  const next = useSignal<string | null>(null);
  const load = async (before: string | null): Promise<void> => {
    const query = before === null ? "" : `&before=${encodeURIComponent(before)}`;
    try {
      const page = await get<{ streams: Stream[]; next: string | null }>(`/api/streams?limit=48${query}`);
      learnStreams(page.streams);
      list.value = before === null ? page.streams : [...(list.value ?? []), ...page.streams];
      next.value = page.next;
      problem.value = null;
    } catch (error) {
      problem.value = inWords(error);
    }
  };
  useEffect(() => {
    void load(null);
    const timer = window.setInterval(() => {
      if (!document.hidden && (list.value?.length ?? 0) <= 48) void load(null);
    }, refreshEvery);
    return () => window.clearInterval(timer);
  }, []);
  return { list, problem, next, more: () => load(next.value) };
}

interface LiveGridProps {
  live: Live;
  empty: string;
  most?: number;
}

export function LiveGrid({ live, empty, most = 1000 }: LiveGridProps) {
  if (live.list.value === null) {
    return live.problem.value ? <p class="quiet empty-note">{live.problem.value}</p> : <GridSkeleton />;
  }
  const shown = live.list.value
    .map((listed) => streams.value.get(listed.id) ?? listed)
    .filter((stream) => stream.live_available && !blocked.value.has(stream.streamer.id));
  if (shown.length === 0) return <p class="quiet empty-note">{empty}</p>;
  return (
    <>
      <ul class="live-grid">
        {shown.slice(0, most).map((stream) => (
          <LiveCard key={stream.id} stream={stream} />
        ))}
      </ul>
      {live.next.value !== null && shown.length < most && (
        <button type="button" class="button more" onClick={() => void live.more()}>
          Show more
        </button>
      )}
    </>
  );
}

function LiveCard({ stream }: { stream: Stream }) {
  const { streamer } = stream;
  return (
    <li class="live-card" data-stream-id={stream.id}>
      <Link href={profilePath(streamer.name)} class="live-picture" aria-label={`Profile of ${streamer.display_name}, ${count(stream.active_viewer_count)} watching`}>
        <Preview stream={stream} name={streamer.name} />
        <span class="viewers">
          <EyeIcon /> {count(stream.active_viewer_count)}
        </span>
      </Link>
      <div class="live-text">
        <strong>
          <Lamp isOn={stream.is_published} /> {streamer.display_name}
        </strong>
        <span class="quiet">{stream.title}</span>
        <span class="quiet small">{stream.live_since && `Live for ${lasting(stream.live_since)}`}</span>
      </div>
      {account.value && <WallButton stream={stream} />}
    </li>
  );
}

/** Puts a streamer on the wall, or says that they are there. */
export function WallButton({ stream }: { stream: Stream }) {
  if (slotFor(slots.value, stream.streamer.id)) return <span class="quiet small on-wall">On your wall</span>;
  const name = stream.streamer.display_name;
  const add = (): void => {
    if (putOnWall(stream)) say(`${name} is on your wall.`);
  };
  return (
    <button type="button" class="button" aria-label={`Put ${name} on my wall`} onClick={add}>
      <PlusIcon /> Put on my wall
    </button>
  );
}

function GridSkeleton() {
  return (
    <ul class="live-grid" aria-busy="true" aria-label="Loading who is live">
      {Array.from({ length: 8 }, (_, at) => (
        <li key={at} class="live-card">
          <div class="live-picture skeleton" />
          <span class="skeleton line" />
        </li>
      ))}
    </ul>
  );
}
