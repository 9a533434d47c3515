import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import { inWords } from "../problems";
import type { Stream } from "../protocol";
import { learnStreams, liveStreams, slots } from "../state";
import { Dialog } from "../ui/dialog";
import { Lamp } from "../ui/lamp";
import { people, sentence } from "../ui/words";
import { slotFor } from "./moves";
import { Preview } from "./preview";
import { putOnWall } from "./wall-state";

/** Who is live and not on the wall yet, to fill one free place. */
export function Picker({ index, close }: { index: number; close: () => void }) {
  const state = useSignal<"loading" | "ready" | string>("loading");
  const query = useSignal("");
  useEffect(() => {
    get<{ streams: Stream[] }>("/api/streams?limit=100")
      .then((answer) => learnStreams(answer.streams))
      .then(() => (state.value = "ready"))
      .catch((error: unknown) => (state.value = inWords(error)));
  }, []);
  const wanted = query.value.trim().toLowerCase();
  const free = liveStreams.value.filter((stream) => !slotFor(slots.value, stream.streamer.id));
  const found = free.filter((stream) => textOf(stream).includes(wanted));
  const pick = (stream: Stream): void => {
    putOnWall(stream, index);
    close();
  };
  return (
    <Dialog title="Who is live" close={close}>
      <input class="field" type="search" placeholder="Name or title" aria-label="Find by name or title" value={query.value} onInput={(event) => (query.value = event.currentTarget.value)} />
      <ul class="pick-list">
        {found.map((stream) => (
          <li key={stream.id}>
            <button type="button" aria-label={`Add ${stream.streamer.display_name}`} onClick={() => pick(stream)}>
              <Preview stream={stream} name={stream.streamer.name} />
              <span class="pick-text">
                <strong>
                  <Lamp isOn={stream.is_published} /> {stream.streamer.display_name}
                </strong>
                <span class="quiet">{stream.title}</span>
                <span class="quiet small">{sentence(`${people(stream.active_viewer_count)} watching`)}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="quiet empty-note">{emptyWords(state.value, free.length > 0)}</p>}
    </Dialog>
  );
}

function textOf(stream: Stream): string {
  return `${stream.streamer.name} ${stream.streamer.display_name} ${stream.title}`.toLowerCase();
}

function emptyWords(state: string, hasOthers: boolean): string {
  if (state === "loading") return "Looking who is live…";
  if (state !== "ready") return state;
  return hasOthers ? "Nobody by that name is live." : "Everybody who is live is on your wall already.";
}
