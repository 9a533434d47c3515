import { afterEach, beforeEach, expect, test, vi } from "vitest";

class Line {
  static opened: Line[] = [];
  static readonly OPEN = 1;
  readyState = 1;
  onopen = (): void => undefined;
  onmessage = (_event: { data: string }): void => undefined;
  onclose = (_event: { code: number }): void => undefined;
  said: unknown[] = [];

  constructor() {
    Line.opened.push(this);
  }

  send(text: string): void {
    this.said.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  hear(message: object): void {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

let socket: typeof import("../src/socket");
const newest = (): Line => Line.opened[Line.opened.length - 1]!;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  const page = Object.assign(new EventTarget(), { setTimeout, clearTimeout });
  const kept = new Map<string, string>();
  vi.stubGlobal("window", page);
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("location", { protocol: "https:", host: "live.example" });
  vi.stubGlobal("WebSocket", Line);
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
  Line.opened = [];
  vi.resetModules();
  socket = await import("../src/socket");
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function open(): void {
  newest().onopen();
  newest().hear({ type: "snapshot" });
}

test("after a goodbye it comes back when it was told to, as the same tab, and then with growing pauses", () => {
  socket.connect();
  open();
  const hello = newest().said[0];
  newest().hear({ type: "goodbye", reason: "restart", reconnect_after_ms: 20_000 });
  newest().onclose({ code: 1012 });
  expect(socket.connection.value).toMatchObject({ state: "waiting", why: "restart" });
  vi.advanceTimersByTime(19_999);
  expect(Line.opened).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(Line.opened).toHaveLength(2);
  for (const pause of [500, 1000, 2000]) {
    const before = Line.opened.length;
    newest().onclose({ code: 1006 });
    vi.advanceTimersByTime(pause * 0.9);
    expect(Line.opened).toHaveLength(before);
    vi.advanceTimersByTime(pause * 0.1);
    expect(Line.opened).toHaveLength(before + 1);
  }
  open();
  expect(newest().said[0]).toEqual(hello);
  expect(socket.connection.value).toEqual({ state: "open" });
});
