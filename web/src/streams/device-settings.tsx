import { patch } from "../api";
import { inWords } from "../problems";
import type { Stream } from "../protocol";
import { ownStream, takeStream } from "../state";
import { say } from "../status";
import { chooseDevice, chosenCamera, chosenMicrophone, devices } from "./camera";
import { idleCameraOff, idlePreviews, setIdleCameraOff, setIdlePreviews } from "./publishing";

/** Which camera and microphone, and what may leave this computer while nobody watches. */
export function DeviceSettings() {
  return (
    <section class="card devices" aria-labelledby="devices-title">
      <h2 id="devices-title" class="card-title">
        Camera and microphone
      </h2>
      <div class="device-row">
        <DevicePicker kind="videoinput" label="Camera" chosen={chosenCamera.value} />
        <DevicePicker kind="audioinput" label="Microphone" chosen={chosenMicrophone.value} />
      </div>
      {ownStream.value?.live_available && <SlowMode stream={ownStream.value} />}
      <Switch
        label="Camera off while nobody watches"
        hint="The device is released and your last picture stays. It opens again within a second."
        isOn={idleCameraOff.value}
        set={setIdleCameraOff}
      />
      <Switch
        label="Send a small picture every 30 seconds while this page is open"
        hint="320 by 180, about 10 KB, so that your tile is up to date. While video is sent, one follows every 10 seconds."
        isOn={idlePreviews.value}
        set={setIdlePreviews}
      />
    </section>
  );
}

const paces = [
  { seconds: 0, words: "Off" },
  { seconds: 5, words: "One message in 5 seconds" },
  { seconds: 30, words: "One message in 30 seconds" },
  { seconds: 120, words: "One message in 2 minutes" },
];

/** How often one person may write in this stream's chat. */
function SlowMode({ stream }: { stream: Stream }) {
  const set = async (seconds: number): Promise<void> => {
    try {
      takeStream(await patch<Stream>("/api/me/stream", { slow_mode_seconds: seconds }));
      say(seconds === 0 ? "Slow mode is off." : "Slow mode is on.");
    } catch (error) {
      say(inWords(error));
    }
  };
  return (
    <label class="labelled">
      <span>Slow mode of your chat</span>
      <select class="field" value={stream.slow_mode_seconds} onChange={(event) => void set(Number(event.currentTarget.value))}>
        {paces.map(({ seconds, words }) => (
          <option key={seconds} value={seconds}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

interface PickerProps {
  kind: "videoinput" | "audioinput";
  label: string;
  chosen: string;
}

function DevicePicker({ kind, label, chosen }: PickerProps) {
  const found = devices.value.filter((device) => device.kind === kind && device.deviceId !== "");
  return (
    <label class="labelled">
      <span>{label}</span>
      <select class="field" value={chosen} disabled={found.length === 0} onChange={(event) => void chooseDevice(kind, event.currentTarget.value)}>
        <option value="">{found.length === 0 ? `No ${label.toLowerCase()} found yet` : "Default"}</option>
        {found.map((device, at) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || `${label} ${at + 1}`}
          </option>
        ))}
      </select>
    </label>
  );
}

interface SwitchProps {
  label: string;
  hint?: string;
  isOn: boolean;
  set: (isOn: boolean) => void;
}

export function Switch({ label, hint, isOn, set }: SwitchProps) {
  return (
    <label class="switch">
      <input type="checkbox" role="switch" checked={isOn} onChange={(event) => set(event.currentTarget.checked)} />
      <span class="switch-track" aria-hidden="true" />
      <span>
        {label}
        {hint && <small class="quiet">{hint}</small>}
      </span>
    </label>
  );
}
