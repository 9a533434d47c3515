import { signal } from "@preact/signals";
import { offline, Refusal } from "./problems";
import type { ClientMessage, ServerMessage } from "./protocol";
import { newSessionId, sessionId } from "./tab";

export type Connection =
  | { state: "off" }
  | { state: "connecting" }
  | { state: "open" }
  | { state: "waiting"; retryAt: number; why: Lost };

/** What ended the connection, as far as it can be told. */
export type Lost = "lost" | "restart" | "crowded" | "database";

export const connection = signal<Connection>({ state: "off" });
/** Why the server let us go for good, if it did. */
export type Farewell = "signed_out" | "banned" | "foreign";
export const farewell = signal<Farewell | null>(null);

type Handlers = { [T in ServerMessage["type"]]?: ((message: Extract<ServerMessage, { type: T }>) => void)[] };
type Pending = { resolve: (message: ServerMessage) => void; reject: (error: unknown) => void };

const handlers: Handlers = {};
const pending = new Map<number, Pending>();
let socket: WebSocket | null = null;
let attempts = 0;
let retryTimer = 0;
let nextRequest = 1;
let announcedDelay: number | null = null;
let patience = 0;
/** What the server said last without being asked: one close code has several causes. */
let lastProblem: string | null = null;

/** A line that died without a word looks open for minutes: what gets no answer in this time shows it. */
const answerWithin = 10_000;
/** The id of every heartbeat; requests count from 1. */
export const heartbeatId = 0;

export function on<T extends ServerMessage["type"]>(
  type: T,
  handle: (message: Extract<ServerMessage, { type: T }>) => void,
): void {
  const list = (handlers[type] ??= []) as ((message: Extract<ServerMessage, { type: T }>) => void)[];
  list.push(handle);
}

export function connect(): void {
  if (socket !== null) return;
  window.clearTimeout(retryTimer);
  farewell.value = null;
  lastProblem = null;
  connection.value = { state: "connecting" };
  const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket = opened;
  expectAnswer(opened);
  opened.onopen = () => {
    opened.send(JSON.stringify({ type: "hello", protocol: 1, session_id: sessionId() }));
  };
  opened.onmessage = (event) => receive(JSON.parse(String(event.data)) as ServerMessage);
  opened.onclose = (event) => closed(opened, event.code);
}

export function disconnect(): void {
  window.clearTimeout(retryTimer);
  const open = socket;
  socket = null;
  stopExpecting();
  open?.close(1000);
  connection.value = { state: "off" };
}

/** Sends if the socket is ready; what is lost here is said again after the next snapshot. */
export function send(message: ClientMessage): boolean {
  if (socket?.readyState !== WebSocket.OPEN || connection.value.state !== "open") return false;
  socket.send(JSON.stringify(message));
  return true;
}

export function sendHeartbeat(message: ClientMessage & { type: "heartbeat" }): boolean {
  if (!send({ ...message, id: heartbeatId })) return false;
  if (socket !== null) expectAnswer(socket);
  return true;
}

function expectAnswer(of: WebSocket): void {
  if (patience !== 0) return;
  patience = window.setTimeout(() => {
    of.close();
    closed(of, 1006);
  }, answerWithin);
}

function stopExpecting(): void {
  window.clearTimeout(patience);
  patience = 0;
}

export function request(message: ClientMessage & { type: "go_live" | "stop" }): Promise<ServerMessage> {
  const id = nextRequest++;
  return new Promise((resolve, reject) => {
    if (!send({ ...message, id })) {
      reject(offline());
      return;
    }
    pending.set(id, { resolve, reject });
    window.setTimeout(() => settle(id, (waiting) => waiting.reject(offline())), 10_000);
  });
}

function settle(id: number, act: (waiting: Pending) => void): void {
  const waiting = pending.get(id);
  if (waiting === undefined) return;
  pending.delete(id);
  act(waiting);
}

function receive(message: ServerMessage): void {
  stopExpecting();
  if (message.type === "snapshot") {
    attempts = 0;
    announcedDelay = null;
    connection.value = { state: "open" };
  }
  if (message.type === "goodbye") announcedDelay = message.reconnect_after_ms;
  if (message.type === "ok" && message.re !== undefined) settle(message.re, (p) => p.resolve(message));
  if (message.type === "error" && message.re === undefined) lastProblem = message.problem.code;
  if (message.type === "error" && message.re !== undefined) {
    settle(message.re, (p) => p.reject(new Refusal(message.problem)));
  }
  for (const handle of handlers[message.type] ?? []) (handle as (m: ServerMessage) => void)(message);
}

function closed(which: WebSocket, code: number): void {
  if (socket !== which) return;
  socket = null;
  stopExpecting();
  for (const id of [...pending.keys()]) settle(id, (p) => p.reject(offline()));
  if (code === 4401 || code === 4403) {
    connection.value = { state: "off" };
    farewell.value = code === 4401 ? "signed_out" : refusedFor(lastProblem);
    return;
  }
  // A duplicate of this tab took our session id: go on under a new one.
  if (code === 4409) newSessionId();
  retryIn(retryDelay(), lostBy(code));
}

/** Banned, or the page has another address than the server knows itself by. */
function refusedFor(problem: string | null): Farewell {
  return problem === "foreign_origin" || problem === "foreign_host" ? "foreign" : "banned";
}

/** 0.5 s doubling to 15 s with full jitter, or what the server asked for when it restarts. */
function retryDelay(): number {
  if (announcedDelay !== null) {
    const asked = announcedDelay;
    announcedDelay = null;
    return asked;
  }
  const ceiling = Math.min(15_000, 500 * 2 ** attempts++);
  return Math.random() * ceiling;
}

function lostBy(code: number): Lost {
  if (code === 4429) return "crowded";
  if (code === 1013) return "database";
  return code === 1001 || code === 1012 ? "restart" : "lost";
}

function retryIn(milliseconds: number, why: Lost): void {
  connection.value = { state: "waiting", retryAt: Date.now() + milliseconds, why };
  retryTimer = window.setTimeout(connect, milliseconds);
}

export function retryNow(): void {
  if (connection.value.state === "waiting") connect();
}

window.addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") retryNow();
});
