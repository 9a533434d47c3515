import { useEffect, useRef } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { mediaOf } from "../media/viewer";
import { soundRefused } from "./wall-state";

export type Flow = "none" | "flowing" | "stalled";

const stalledAfter = 3000;

/** Follows the frames of a video element: nothing yet, flowing, or none for three seconds. */
function followFrames(video: HTMLVideoElement, streamId: string, flow: Signal<Flow>): () => void {
  let last = 0;
  let isOver = false;
  const frame = (): void => {
    if (isOver) return;
    if (last === 0) performance.mark(`livewall:first-frame:${streamId}`);
    last = performance.now();
    flow.value = "flowing";
    next();
  };
  const next = (): void => {
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(frame);
    else (video as HTMLVideoElement).ontimeupdate = frame;
  };
  const timer = window.setInterval(() => {
    const isStalled = last > 0 && performance.now() - last > stalledAfter;
    if (isStalled && document.visibilityState === "visible") flow.value = "stalled";
  }, 500);
  next();
  return () => {
    isOver = true;
    window.clearInterval(timer);
    flow.value = "none";
  };
}

function play(video: HTMLVideoElement, streamerId: string): void {
  video.play().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "NotAllowedError") soundRefused(streamerId);
  });
}

interface TileVideoProps {
  streamId: string;
  streamerId: string;
  volume: number;
  flow: Signal<Flow>;
  label: string;
}

/** The video element of a playing tile. It only shows what arrives; asking for it is not its business. */
export function TileVideo({ streamId, streamerId, volume, flow, label }: TileVideoProps) {
  const video = useRef<HTMLVideoElement>(null);
  const stream = mediaOf(streamId).value;
  useEffect(() => {
    const element = video.current;
    if (!element || stream === null) return;
    element.srcObject = stream;
    play(element, streamerId);
    const stopFollowing = followFrames(element, streamId, flow);
    return () => {
      stopFollowing();
      element.srcObject = null;
    };
  }, [stream, streamId]);
  useEffect(() => {
    if (video.current) video.current.volume = volume / 100;
  }, [volume]);
  // Moving a tile takes its element out of the page for an instant, which pauses it.
  const resume = (): void => {
    if (video.current?.srcObject && !document.hidden) play(video.current, streamerId);
  };
  return <video ref={video} playsInline aria-label={label} onPause={resume} data-flow={flow.value} />;
}

export function useFlow(): Signal<Flow> {
  return useSignal<Flow>("none");
}
