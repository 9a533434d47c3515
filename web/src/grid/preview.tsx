import type { Stream } from "../protocol";
import { hueOf } from "../ui/avatar";

export const previewUrl = (stream: Stream): string => `/api/streams/${stream.id}/preview.jpg?v=${stream.preview_version}`;

/** The newest small picture of a stream; before there is one, the streamer's own quiet colour. */
export function Preview({ stream, name }: { stream: Stream | null; name: string }) {
  const hasPicture = stream !== null && stream.live_available && stream.preview_version > 0;
  return (
    <div class={`preview hue-${hueOf(name)}`}>
      {hasPicture ? (
        <img src={previewUrl(stream)} alt="" draggable={false} decoding="async" />
      ) : (
        <span class="preview-letter" aria-hidden="true">
          {[...name][0]?.toUpperCase()}
        </span>
      )}
    </div>
  );
}
