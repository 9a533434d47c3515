/** Forty samples of silence as a WAV file. */
function silence(): Blob {
  const samples = 40;
  const view = new DataView(new ArrayBuffer(44 + samples));
  const text = (at: number, letters: string): void => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + samples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, 8000, true);
  view.setUint32(28, 8000, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  text(36, "data");
  view.setUint32(40, samples, true);
  new Uint8Array(view.buffer, 44).fill(128);
  return new Blob([view], { type: "audio/wav" });
}

/** Whether this page may play sound before anybody touched it: tried, since only that tells. */
export async function soundIsAllowed(): Promise<boolean> {
  if (navigator.userActivation?.hasBeenActive) return true;
  const address = URL.createObjectURL(silence());
  const audio = new Audio(address);
  try {
    await audio.play();
    return true;
  } catch (error) {
    return !(error instanceof DOMException && error.name === "NotAllowedError");
  } finally {
    audio.removeAttribute("src");
    audio.load();
    URL.revokeObjectURL(address);
  }
}
