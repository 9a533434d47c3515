import { offline, Refusal } from "./problems";
import type { Problem } from "./protocol";

function cookie(name: string): string | undefined {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found === undefined ? undefined : decodeURIComponent(found.slice(name.length + 1));
}

/** The double-submit header. */
export function csrfHeader(): Record<string, string> {
  const value = cookie("livewall_csrf");
  return value === undefined ? {} : { "X-CSRF-Token": value };
}

async function refusal(response: Response): Promise<Refusal> {
  const wait = Number(response.headers.get("Retry-After"));
  const retry = Number.isFinite(wait) && wait > 0 ? wait : null;
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.code === "string") return new Refusal(problem, retry);
  } catch {
    // A proxy in between answers with a page of its own: fall through to the status.
  }
  const code = response.status === 503 ? "database_away" : "internal";
  return new Refusal({ type: "about:blank", title: response.statusText, status: response.status, code }, retry);
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: "same-origin", ...init });
  } catch {
    throw offline();
  }
}

async function call<T>(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", ...more };
  if (method !== "GET") Object.assign(headers, csrfHeader());
  const init: RequestInit = { method, headers };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const response = await send(path, init);
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>("POST", path, body);
export const put = <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> => call<T>("PUT", path, body, headers);
export const patch = <T>(path: string, body: unknown): Promise<T> => call<T>("PATCH", path, body);
export const remove = <T>(path: string): Promise<T> => call<T>("DELETE", path);

export async function putJpeg(path: string, picture: Blob): Promise<void> {
  const headers = { "Content-Type": "image/jpeg", ...csrfHeader() };
  const response = await send(path, { method: "PUT", headers, body: picture });
  if (!response.ok) throw await refusal(response);
}

/** Fire and forget while the page goes away; `keepalive` lets it outlive the page. */
export function postWhileClosing(path: string, body: unknown): void {
  const headers = { "Content-Type": "application/json", ...csrfHeader() };
  const init: RequestInit = { method: "POST", headers, body: JSON.stringify(body), keepalive: true };
  void fetch(path, { credentials: "same-origin", ...init }).catch(() => undefined);
}
