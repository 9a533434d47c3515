import { putJpeg } from "../api";
import { camera } from "./camera";

/** The 320x180 picture that stands for a stream while no video is sent (about 10 KB). */
const width = 320;
const height = 180;
/** The server takes one a second. */
const atMostEvery = 1500;

let sentAt = 0;

const source = document.createElement("video");
source.muted = true;
source.playsInline = true;

async function ready(stream: MediaStream): Promise<void> {
  if (source.srcObject !== stream) source.srcObject = stream;
  if (source.paused) await source.play();
  if (source.videoWidth > 0) return;
  await new Promise<void>((settle) => {
    source.onresize = () => settle();
    window.setTimeout(settle, 2000);
  });
}

/** The middle of the picture, cut to 16:9. */
function draw(canvas: HTMLCanvasElement): boolean {
  const context = canvas.getContext("2d");
  const [w, h] = [source.videoWidth, source.videoHeight];
  if (context === null || w === 0 || h === 0) return false;
  const scale = Math.max(width / w, height / h);
  const [cutWidth, cutHeight] = [width / scale, height / scale];
  context.drawImage(source, (w - cutWidth) / 2, (h - cutHeight) / 2, cutWidth, cutHeight, 0, 0, width, height);
  return true;
}

async function take(stream: MediaStream): Promise<Blob | null> {
  await ready(stream);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  if (!draw(canvas)) return null;
  return new Promise((settle) => canvas.toBlob(settle, "image/jpeg", 0.7));
}

/** Takes a picture and sends it. A failed one is not worth a word: the next follows soon. */
export async function sendPreview(streamId: string): Promise<void> {
  const stream = camera.value;
  if (stream === null || Date.now() - sentAt < atMostEvery) return;
  sentAt = Date.now();
  try {
    const picture = await take(stream);
    if (picture) await putJpeg(`/api/streams/${streamId}/preview`, picture);
  } catch {
    // See above.
  }
}

export function forgetCamera(): void {
  source.srcObject = null;
}
