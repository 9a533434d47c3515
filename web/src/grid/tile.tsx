import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { GiftSheet } from "../gifts/gift-sheet";
import { GiftSign } from "../gifts/sign";
import { awayIds } from "../media/viewer";
import { observeTile } from "../presence";
import type { Slot } from "../protocol";
import { seats, streamOf } from "../state";
import { navigate, profilePath } from "../router";
import { EyeIcon, GiftIcon, MutedIcon, PinIcon, PinnedIcon, PlayIcon, SoundIcon } from "../ui/icons";
import { Lamp } from "../ui/lamp";
import { Menu, type MenuItem } from "../ui/menu";
import { count } from "../ui/words";
import { beginDrag, beginMoving, moving } from "./rearrange";
import { giftTarget } from "./gift-target";
import type { Cell } from "./layout";
import { Preview } from "./preview";
import { noteOf, tileState, type TileState } from "./tile-state";
import { TileVideo, useFlow } from "./tile-video";
import { focus, focusedId, nameOf, needsTap, playingIds, removeFromWall, setMuted, setPinned, setVolume, stopWatching, watch } from "./wall-state";

export function Tile({ slot, cell }: { slot: Slot; cell: Cell }) {
  const id = slot.streamer_id;
  const root = useRef<HTMLElement>(null);
  useEffect(() => (root.current ? observeTile(id, root.current) : undefined), [id]);
  const flow = useFlow();
  const stream = streamOf.value.get(id) ?? null;
  const isPlaying = playingIds.value.has(id);
  const view = {
    slot,
    stream,
    isPlaying,
    needsTap: needsTap.value.has(id),
    seat: stream ? seats.value.get(stream.id) : undefined,
    flow: flow.value,
    isAway: stream !== null && awayIds.value.has(stream.id),
  };
  const state = tileState(view);
  const name = nameOf(id);
  const note = noteOf(state, name, view);
  const move = moving.value;
  return (
    <article
      ref={root}
      class="tile"
      aria-label={`Tile ${slot.slot_index}: ${name}`}
      data-testid={`tile-${slot.slot_index}`}
      data-stream-id={stream?.id ?? ""}
      data-slot={slot.slot_index}
      data-state={state}
      data-size={cell.span > 1 ? "large" : "small"}
      data-focused={focusedId.value === id}
      data-moving={move?.streamerId === id}
      data-target={move !== null && move.to === slot.slot_index && move.streamerId !== id}
      style={{ ...placed(cell), translate: carriedBy(id) }}
      onPointerDown={(event) => beginDrag(event, slot)}
    >
      <Preview stream={stream} name={name} />
      {stream && isPlaying && state !== "ended" && state !== "blocked" && (
        <TileVideo streamId={stream.id} streamerId={id} volume={slot.volume} flow={flow} label={`Video of ${name}`} />
      )}
      <Cover slot={slot} state={state} name={name} />
      <header class="tile-head">
        <Lamp isOn={stream?.is_published ?? false} />
        <strong>{name}</strong>
        <span class="tile-title">{stream?.title}</span>
        <span class="tile-marks">
          {slot.is_muted && (
            <span class="mark-muted">
              <MutedIcon />
            </span>
          )}
          {slot.is_pinned && (
            <span class="mark-pinned">
              <PinnedIcon />
            </span>
          )}
        </span>
      </header>
      {note !== null && <p class="tile-note">{note}</p>}
      {stream && <GiftSign streamId={stream.id} />}
      {state === "connecting" && <span class="tile-progress" role="status" aria-label={`Connecting to ${name}`} />}
      <footer class="tile-foot">
        <Viewers value={stream?.active_viewer_count ?? 0} isLive={state !== "ended"} />
        <Tools slot={slot} state={state} name={name} />
      </footer>
    </article>
  );
}

export function placed(cell: Cell): Record<string, string> {
  return { gridColumn: `${cell.column} / span ${cell.span}`, gridRow: `${cell.row} / span ${cell.span}` };
}

function carriedBy(id: string): string {
  const move = moving.value;
  return move?.streamerId === id ? `${move.carried[0]}px ${move.carried[1]}px` : "none";
}

/** The whole tile is the button: watch a preview, focus what plays, resume what waits for a tap. */
function Cover({ slot, state, name }: { slot: Slot; state: TileState; name: string }) {
  const id = slot.streamer_id;
  if (state === "blocked") {
    return (
      <button type="button" class="tile-cover" aria-label={`Tap to resume ${name}`} onClick={() => watch(id)}>
        <span class="tile-resume">
          <PlayIcon /> Tap to resume
        </span>
      </button>
    );
  }
  if (state === "preview") {
    return (
      <button type="button" class="tile-cover" aria-label={`Watch ${name}`} onClick={() => watch(id)}>
        <span class="tile-watch" aria-hidden="true">
          Watch
        </span>
      </button>
    );
  }
  return <button type="button" class="tile-cover" aria-label={`Focus ${name}`} onClick={() => focus(id)} />;
}

function Viewers({ value, isLive }: { value: number; isLive: boolean }) {
  if (!isLive) return <span class="viewers" />;
  return (
    <span class="viewers">
      <EyeIcon />
      <span aria-hidden="true">{count(value)}</span>
      <span class="quiet-words">{`${count(value)} watching`}</span>
    </span>
  );
}

function Tools({ slot, state, name }: { slot: Slot; state: TileState; name: string }) {
  const id = slot.streamer_id;
  const isOnStage = state !== "preview" && state !== "ended";
  const pinLabel = slot.is_pinned ? `Unpin ${name}` : `Pin ${name}`;
  return (
    <div class="tile-tools">
      {isOnStage && <Volume slot={slot} name={name} />}
      {slot.is_muted && state === "preview" && (
        <button type="button" class="tool tool-unmute" aria-label={`Unmute ${name}`} title={`Unmute ${name}`} onClick={() => setMuted(id, false)}>
          <MutedIcon />
        </button>
      )}
      {(isOnStage || slot.is_pinned) && (
        <button type="button" class="tool tool-pin" aria-pressed={slot.is_pinned} aria-label={pinLabel} title={pinLabel} onClick={() => setPinned(id, !slot.is_pinned)}>
          {slot.is_pinned ? <PinnedIcon /> : <PinIcon />}
        </button>
      )}
      {isOnStage && <GiftTool id={id} name={name} />}
      <Menu label={`More for ${name}`} items={actions(slot, state, name)} />
    </div>
  );
}

function GiftTool({ id, name }: { id: string; name: string }) {
  const isOpen = useSignal(false);
  const target = giftTarget(id);
  if (target === null) return null;
  return (
    <>
      <button type="button" class="tool" aria-label={`Send ${name} a gift`} title={`Send ${name} a gift`} onClick={() => (isOpen.value = true)}>
        <GiftIcon />
      </button>
      {isOpen.value && <GiftSheet to={target} close={() => (isOpen.value = false)} />}
    </>
  );
}

function Volume({ slot, name }: { slot: Slot; name: string }) {
  const id = slot.streamer_id;
  return (
    <span class="volume">
      <input
        type="range"
        min="0"
        max="100"
        step="5"
        value={slot.volume}
        aria-label={`Volume of ${name}`}
        onInput={(event) => setVolume(id, Number(event.currentTarget.value))}
      />
      <button type="button" class="tool" aria-label={`Mute ${name}`} title={`Mute ${name}: it becomes a preview`} onClick={() => setMuted(id, true)}>
        {slot.volume === 0 ? <MutedIcon /> : <SoundIcon />}
      </button>
    </span>
  );
}

function actions(slot: Slot, state: TileState, name: string): MenuItem[] {
  const id = slot.streamer_id;
  const isOnStage = state !== "preview" && state !== "ended";
  const person = streamOf.value.get(id)?.streamer ?? slot.streamer;
  const items: (MenuItem | false)[] = [
    isOnStage && { label: `Stop watching ${name}`, run: () => stopWatching(id) },
    state === "ended" && slot.is_muted && { label: `Unmute ${name}`, run: () => setMuted(id, false) },
    !isOnStage && { label: slot.is_pinned ? `Unpin ${name}` : `Pin ${name}`, run: () => setPinned(id, !slot.is_pinned) },
    { label: `Move ${name}`, run: () => beginMoving(slot) },
    person !== undefined && { label: "Open profile", run: () => navigate(profilePath(person.name)) },
    { label: `Remove ${name} from wall`, run: () => removeFromWall(id), isLoss: true },
  ];
  return items.filter((item) => item !== false);
}
