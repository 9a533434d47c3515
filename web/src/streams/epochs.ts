import type { Stream } from "../protocol";

/** The newer of two states of one stream: the highest epoch wins, and of equals the later heard. */
export function newerStream(known: Stream | undefined, heard: Stream): Stream {
  return known !== undefined && known.publish_epoch > heard.publish_epoch ? known : heard;
}
