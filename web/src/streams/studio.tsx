import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Chat } from "../chat/chat";
import { TonightCard } from "../gifts/tonight";
import { camera, cameraLabel, cameraProblem, cameraProblemInWords, isOpening, openCamera } from "./camera";
import { connection } from "../socket";
import { account, limits, ownStream } from "../state";
import { CameraIcon } from "../ui/icons";
import { Lamp } from "../ui/lamp";
import { people } from "../ui/words";
import { DeviceSettings } from "./device-settings";
import { epoch, goLive, goLiveProblem, holding, idleCameraOff, isElsewhere, isLiveElsewhere, isStarting, lostBecause, publishState, stop, studioIsOpen, why } from "./publishing";
import { WaitingCard, WatchersCard, WhyCard } from "./why-card";

/** Three answers at a glance: am I sending, why and to whom, and what did tonight bring. */
export function Studio() {
  useEffect(() => {
    studioIsOpen.value = true;
    return () => void (studioIsOpen.value = false);
  }, []);
  return (
    <div class="studio" data-testid="studio" data-publish-state={publishState.value} data-epoch={epoch.value}>
      <h1 class="quiet-words">Studio</h1>
      <div class="studio-main">
        <SelfPreview />
        <Notices />
        <WhyCard />
        <DeviceSettings />
      </div>
      <div class="studio-side">
        <TonightCard />
        <WatchersCard />
        <WaitingCard seats={limits.value.seats} />
        {holding.value !== null && <Chat />}
      </div>
    </div>
  );
}

function SelfPreview() {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = camera.value;
  }, [camera.value]);
  return (
    <section class="self" aria-label="Your picture">
      <video ref={video} autoplay playsInline muted data-testid="self-preview" />
      {camera.value === null && <NoPicture />}
      <StateLine />
      <div class="self-foot">
        <span class="self-device">
          <CameraIcon /> {cameraLabel.value || "Camera off"}
        </span>
        <Controls />
      </div>
    </section>
  );
}

function NoPicture() {
  const problem = cameraProblem.value;
  if (isOpening.value) return <p class="self-note">Opening your camera. The browser may ask you to allow it.</p>;
  if (problem) {
    return (
      <div class="self-note" role="alert">
        <p>{cameraProblemInWords[problem]}</p>
        <button type="button" class="button" onClick={() => void openCamera()}>
          Try again
        </button>
      </div>
    );
  }
  if (holding.value !== null && idleCameraOff.value) {
    return <p class="self-note">Your camera is off while nobody watches. It opens by itself when somebody does.</p>;
  }
  return <p class="self-note">Your camera is off.</p>;
}

/** The lamp and its words. */
function StateLine() {
  const state = publishState.value;
  const viewers = Math.max(why.value?.active_viewer_count ?? 0, ownStream.value?.active_viewer_count ?? 0);
  return (
    <p class="self-state" role="status" data-testid="publish-state">
      <Lamp isOn={state === "sending"} words="" />
      {state === "sending" && (
        <>
          <strong>Sending video,</strong> <span>{people(viewers)} watching</span>
        </>
      )}
      {state === "idle" && (
        <>
          <strong>Live, not sending:</strong> <span>nobody is watching</span>
        </>
      )}
      {state === "off" && <strong>{isLiveElsewhere.value ? "Live in another tab or on another device" : "Not live"}</strong>}
    </p>
  );
}

function Controls() {
  const title = useSignal(ownStream.value?.title ?? "");
  useEffect(() => {
    if (title.value === "" && ownStream.value) title.value = ownStream.value.title;
  }, [ownStream.value === null]);
  if (holding.value !== null) {
    return (
      <button type="button" class="button stop" onClick={() => void stop()}>
        Stop
      </button>
    );
  }
  // Where to take over is said below; a second way to start would only be refused.
  if (isLiveElsewhere.value) return null;
  const submit = (event: Event): void => {
    event.preventDefault();
    void goLive(title.value.trim() || defaultTitle());
  };
  const hasNoCamera = camera.value === null && cameraProblem.value !== null;
  const isReady = connection.value.state === "open" && !isStarting.value && !hasNoCamera;
  return (
    <form class="go-live" onSubmit={submit}>
      <input class="field" aria-label="Title of your stream" placeholder={defaultTitle()} maxLength={80} value={title.value} onInput={(event) => (title.value = event.currentTarget.value)} />
      <button type="submit" class="button primary" disabled={!isReady}>
        {isStarting.value ? "Going live…" : "Go live"}
      </button>
    </form>
  );
}

function defaultTitle(): string {
  return `Live with ${account.value?.profile.display_name ?? "me"}`;
}

function Notices() {
  return (
    <>
      {(isElsewhere.value || isLiveElsewhere.value) && <TakeOver />}
      {lostBecause.value && (
        <p class="notice" role="status">
          {lostBecause.value}
        </p>
      )}
      {goLiveProblem.value && (
        <p class="notice loss" role="alert">
          {goLiveProblem.value}
        </p>
      )}
      {account.value?.is_guest && holding.value === null && <p class="notice">You are a guest. Everybody sees the name {account.value.profile.display_name}; create an account to keep it.</p>}
    </>
  );
}

function TakeOver() {
  const title = ownStream.value?.title ?? defaultTitle();
  return (
    <div class="notice notice-row" role="status">
      <p>You are live in another tab or on another device. Taking over starts here and stops there.</p>
      <button type="button" class="button" onClick={() => void goLive(title, true)}>
        Take over here
      </button>
    </div>
  );
}
