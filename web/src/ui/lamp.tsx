/** The one idea of Livewall: a ring when off, warm amber while somebody sends video. Words follow. */
export function Lamp({ isOn, words }: { isOn: boolean; words?: string }) {
  return (
    <>
      <span class="lamp" data-on={isOn ? "true" : "false"} aria-hidden="true" />
      <span class="quiet-words">{words ?? (isOn ? "Sending video." : "Not sending video.")}</span>
    </>
  );
}
