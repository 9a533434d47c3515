import { computed, signal } from "@preact/signals";

/** The camera and microphone of this page: opened once, shared by self-preview and sending. */
export type CameraProblem = "denied" | "none" | "busy" | "lost" | "insecure";

export const camera = signal<MediaStream | null>(null);
export const cameraProblem = signal<CameraProblem | null>(null);
export const isOpening = signal(false);
export const devices = signal<readonly MediaDeviceInfo[]>([]);
export const chosenCamera = signal(localStorage.getItem("livewall.camera") ?? "");
export const chosenMicrophone = signal(localStorage.getItem("livewall.microphone") ?? "");
export const cameraLabel = computed(() => camera.value?.getVideoTracks()[0]?.label ?? "");

export const cameraProblemInWords: Record<CameraProblem, string> = {
  denied: "The browser may not use your camera. Allow it beside the address, then try again.",
  none: "No camera was found. Plug one in, then try again.",
  busy: "Another program is using the camera. Close it there, then try again.",
  lost: "The camera was unplugged or switched off. Plug it in or choose another, then try again.",
  insecure: "Browsers share the camera with https addresses and localhost only. Open Livewall under one of those.",
};

let opening: Promise<MediaStream | null> | null = null;

export function openCamera(): Promise<MediaStream | null> {
  if (camera.value) return Promise.resolve(camera.value);
  opening ??= open().finally(() => (opening = null));
  return opening;
}

async function open(): Promise<MediaStream | null> {
  isOpening.value = true;
  try {
    use(await ask());
    cameraProblem.value = null;
    void listDevices();
  } catch (error) {
    cameraProblem.value = problemOf(error);
  } finally {
    isOpening.value = false;
  }
  return camera.value;
}

async function ask(): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  const video: MediaTrackConstraints = {
    width: { ideal: 640 },
    height: { ideal: 360 },
    frameRate: { ideal: 24, max: 30 },
    ...preferred(chosenCamera.value),
  };
  const audio = { echoCancellation: true, noiseSuppression: true, ...preferred(chosenMicrophone.value) };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch (error) {
    // A computer without a microphone can still send pictures.
    if (problemOf(error) !== "none") throw error;
    return navigator.mediaDevices.getUserMedia({ video });
  }
}

function preferred(deviceId: string): MediaTrackConstraints {
  return deviceId === "" ? {} : { deviceId: { ideal: deviceId } };
}

function problemOf(error: unknown): CameraProblem {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "denied";
  if (name === "SecurityError") return "insecure";
  return name === "NotFoundError" || name === "OverconstrainedError" ? "none" : "busy";
}

function use(stream: MediaStream): void {
  camera.value = stream;
  for (const track of stream.getVideoTracks()) {
    track.onended = () => {
      if (camera.value !== stream) return;
      closeCamera();
      cameraProblem.value = "lost";
    };
  }
}

/** Releases the devices: the light beside the lens goes out. */
export function closeCamera(): void {
  const open = camera.value;
  camera.value = null;
  for (const track of open?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

/** Opens the chosen devices in place of those in use. */
export async function chooseDevice(kind: "videoinput" | "audioinput", deviceId: string): Promise<void> {
  const isCamera = kind === "videoinput";
  (isCamera ? chosenCamera : chosenMicrophone).value = deviceId;
  localStorage.setItem(isCamera ? "livewall.camera" : "livewall.microphone", deviceId);
  if (camera.value === null && cameraProblem.value === null) return;
  const before = camera.value;
  camera.value = null;
  for (const track of before?.getTracks() ?? []) track.stop();
  await openCamera();
}

export async function listDevices(): Promise<void> {
  devices.value = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
}

navigator.mediaDevices?.addEventListener("devicechange", () => void listDevices());
