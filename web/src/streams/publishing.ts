import { computed, effect, signal, untracked } from "@preact/signals";
import { endAll, isSendingToAnybody, reconcile, replaceTracks } from "../media/publisher";
import { publisherBeat } from "../presence";
import { inWords, Refusal } from "../problems";
import { connection, on, request } from "../socket";
import { account, ownStream, takeStream } from "../state";
import { everySoOften } from "../ticker";
import type { PublishMessage, Seated, WatchersMessage, Why } from "../protocol";
import { camera, cameraProblem, closeCamera, openCamera } from "./camera";
import { afterSilence } from "./silence";
import { forgetCamera, sendPreview } from "./preview-picture";

/**
 * Being live. The server decides when video is sent (the highest epoch wins); this module obeys and
 * shows. It lives outside the studio page, so a streamer may look at their wall meanwhile.
 */
const liveKey = "livewall.live";
/** The lease and the viewers' silence both end after this long: sending longer would serve nobody. */
const offlineFor = 60_000;

/** The id of the stream this tab holds the publisher lease for, or null. */
export const holding = signal<string | null>(sessionStorage.getItem(liveKey));
export const isPublished = signal(false);
export const epoch = signal(0);
export const why = signal<Why | null>(null);
export const seated = signal<readonly Seated[]>([]);
export const waiting = signal<readonly { name: string }[]>([]);
export const goLiveProblem = signal<string | null>(null);
export const isElsewhere = signal(false);
export const isStarting = signal(false);
/** Why this tab stopped being the one that sends, in words for the studio. */
export const lostBecause = signal<string | null>(null);
export const idleCameraOff = signal(localStorage.getItem("livewall.idle-camera-off") === "yes");
export const idlePreviews = signal(localStorage.getItem("livewall.idle-previews") !== "no");
export const studioIsOpen = signal(false);

let revision = -1;

export type PublishState = "off" | "idle" | "sending";
export const publishState = computed<PublishState>(() => {
  if (holding.value === null) return "off";
  return isPublished.value ? "sending" : "idle";
});

/** Live, but another tab or device of the same person is the one that sends. */
export const isLiveElsewhere = computed(() => holding.value === null && ownStream.value?.live_available === true);

export async function goLive(title: string, takeOver = false): Promise<void> {
  goLiveProblem.value = null;
  lostBecause.value = null;
  isStarting.value = true;
  try {
    if ((await openCamera()) === null) return;
    const answer = await request({ type: "go_live", title, ...(takeOver ? { take_over: true } : {}) });
    if (answer.type === "ok" && answer.stream) started(answer.stream.id, answer.stream.publish_epoch, takeOver);
    if (answer.type === "ok" && answer.stream) takeStream(answer.stream);
  } catch (error) {
    refused(error);
  } finally {
    isStarting.value = false;
  }
}

function started(streamId: string, atEpoch: number, wasTaken: boolean): void {
  isElsewhere.value = false;
  // Not the highest of both: this tab may have been live as somebody else, with epochs of their own.
  epoch.value = atEpoch;
  hold(streamId);
  // Whoever sent until now may have sent a picture this very second, and one a second is taken.
  window.setTimeout(() => void sendPreview(streamId), wasTaken ? 1500 : 0);
}

function refused(error: unknown): void {
  isElsewhere.value = error instanceof Refusal && error.code === "publisher_elsewhere";
  goLiveProblem.value = isElsewhere.value ? null : inWords(error);
}

function hold(streamId: string | null): void {
  holding.value = streamId;
  if (streamId === null) sessionStorage.removeItem(liveKey);
  else sessionStorage.setItem(liveKey, streamId);
}

export async function stop(): Promise<void> {
  try {
    await request({ type: "stop" });
    letGo();
  } catch (error) {
    if (error instanceof Refusal && error.code === "not_live") letGo();
    else goLiveProblem.value = inWords(error);
  }
}

/** Nothing is sent from here any more, whatever the reason. */
function letGo(): void {
  endAll();
  hold(null);
  isPublished.value = false;
  seated.value = [];
  waiting.value = [];
  why.value = null;
  if (!studioIsOpen.value) closeCamera();
}

/** Nobody has told us anything for long. A snapshot says whether it goes on. */
function pause(): void {
  isPublished.value = false;
  seated.value = [];
  waiting.value = [];
}

function takePublish(message: PublishMessage): void {
  if (message.stream_id !== holding.value || message.epoch < epoch.value) return;
  epoch.value = message.epoch;
  isPublished.value = message.is_published;
  why.value = message.why;
}

function takeWatchers(message: WatchersMessage): void {
  if (message.stream_id !== holding.value || message.revision < revision) return;
  revision = message.revision;
  seated.value = message.seated;
  waiting.value = message.waiting;
}

/** Sends to exactly those who hold a seat, while published and with a camera at hand. */
function follow(): void {
  if (holding.value === null || !isPublished.value) {
    endAll();
    return;
  }
  reconcile(seated.value, camera.value);
}

/** The camera is needed while sending, while the studio shows it, or while live with it kept on. */
const cameraIsNeeded = computed(() => {
  if (holding.value === null) return studioIsOpen.value;
  return isPublished.value || !idleCameraOff.value;
});

on("snapshot", (snapshot) => {
  revision = -1;
  const own = snapshot.own_stream;
  if (holding.value === null) return;
  if (own?.id === holding.value && own.live_available) {
    if (own.publish_epoch < epoch.value) return;
    epoch.value = own.publish_epoch;
    isPublished.value = own.is_published;
    return;
  }
  letGo();
  lostBecause.value = "Your stream ended while this page was away.";
});

on("publish", takePublish);
on("watchers", takeWatchers);
on("publisher_lost", (message) => {
  if (message.stream_id !== holding.value) return;
  letGo();
  lostBecause.value = lostInWords(message.reason);
});

function lostInWords(reason: string): string {
  if (reason === "taken_over") return "You went live from another tab or device, so this one stopped sending.";
  if (reason === "stopped") return "Your stream was stopped from another tab or device.";
  return "This page lost its hold on your stream. Go live again when you are ready.";
}

effect(follow);

effect(() => {
  const id = holding.value;
  publisherBeat.value = id === null ? null : { stream_id: id };
});

effect(() => {
  // Signed out, in whichever tab: nothing of theirs leaves from here any more.
  if (account.value === null) untracked(letGo);
});

afterSilence(computed(() => connection.value.state === "open"), offlineFor, pause);

effect(() => {
  if (!cameraIsNeeded.value) {
    closeCamera();
    forgetCamera();
  } else if (camera.peek() === null && cameraProblem.peek() === null) void openCamera();
});

effect(() => {
  if (camera.value && isSendingToAnybody()) void replaceTracks(camera.value);
});

effect(() => {
  // A fresh picture soon after sending starts; not at once, the first frames go first.
  const id = holding.value;
  if (id === null || !isPublished.value || camera.value === null) return;
  const timer = window.setTimeout(() => void sendPreview(id), 2000);
  return () => window.clearTimeout(timer);
});

export function startPublishing(): void {
  everySoOften(10_000, () => {
    if (holding.value !== null && isPublished.value) void sendPreview(holding.value);
  });
  everySoOften(30_000, () => {
    const isShown = studioIsOpen.value && idlePreviews.value && !isPublished.value;
    if (holding.value !== null && isShown) void sendPreview(holding.value);
  });
}

export function setIdleCameraOff(isOff: boolean): void {
  idleCameraOff.value = isOff;
  localStorage.setItem("livewall.idle-camera-off", isOff ? "yes" : "no");
}

export function setIdlePreviews(isOn: boolean): void {
  idlePreviews.value = isOn;
  localStorage.setItem("livewall.idle-previews", isOn ? "yes" : "no");
}
