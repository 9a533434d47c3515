import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { streams } from "../state";
import { blockedUntil, chatState, chatStream, isLoadingOlder, isSending, loadOlder, moderatesHere, older, reload, sendMessage, sendProblem, shownMessages } from "./chat-state";
import { Message } from "./message";
import { useSheet } from "./sheet";

const nearEnd = 48;

/** The chat at the right, or on a phone the sheet that one can pull. */
export function Chat() {
  const sheet = useSheet();
  const stream = chatStream.value === null ? undefined : streams.value.get(chatStream.value);
  const name = stream?.streamer.display_name;
  return (
    <aside class="chat" aria-label={name ? `Chat of ${name}` : "Chat"} data-sheet={sheet.position} ref={sheet.root}>
      <button type="button" class="sheet-handle" aria-label={sheet.isTall ? "Make the chat smaller" : "Make the chat larger"} {...sheet.handle} />
      <h2>
        Chat <span>{name}</span>
        {stream && moderatesHere(stream.streamer.id) && <span> · you moderate</span>}
      </h2>
      {stream === undefined ? <p class="quiet chat-empty">Press a tile: its chat opens here.</p> : <History key={stream.id} />}
      {stream !== undefined && <Composer name={stream.streamer.display_name} raise={sheet.raise} />}
    </aside>
  );
}

function History() {
  const list = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const unread = useSignal(0);
  const seen = useRef(0);
  const shown = shownMessages.value;
  const newest = shown.at(-1)?.id ?? 0;
  useKeepPlace(list, shown[0]?.id ?? 0, isAtEnd);
  useLayoutEffect(() => {
    if (isAtEnd.current) toEnd(list.current);
    else unread.value += shown.filter((message) => message.id > seen.current).length;
    seen.current = newest;
  }, [newest]);
  const scrolled = (): void => {
    const element = list.current;
    if (!element) return;
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < nearEnd;
    if (isAtEnd.current) unread.value = 0;
    if (element.scrollTop < 80) void loadOlder();
  };
  const catchUp = (): void => {
    isAtEnd.current = true;
    unread.value = 0;
    toEnd(list.current);
  };
  return (
    <>
      <div class="messages" ref={list} onScroll={scrolled} tabIndex={0} role="log" aria-live="polite" aria-label="Messages">
        <ul>
        {older.value === null && chatState.value === "ready" && shown.length > 0 && <li class="chat-start">The chat starts here.</li>}
        {isLoadingOlder.value && <li class="chat-start">Loading older messages…</li>}
        {shown.map((message) => (
          <Message key={message.id} message={message} />
        ))}
        </ul>
      </div>
      <Emptiness count={shown.length} />
      {unread.value > 0 && (
        <button type="button" class="button unread" onClick={catchUp}>
          {unread.value === 1 ? "1 new message" : `${unread.value} new messages`}
        </button>
      )}
    </>
  );
}

/** Older messages are put in above without moving what one reads. */
function useKeepPlace(list: { current: HTMLDivElement | null }, oldest: number, isAtEnd: { current: boolean }): void {
  const height = useRef(0);
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    if (!isAtEnd.current) element.scrollTop += element.scrollHeight - height.current;
  }, [oldest]);
  useLayoutEffect(() => {
    height.current = list.current?.scrollHeight ?? 0;
  });
}

function toEnd(element: HTMLElement | null): void {
  if (element) element.scrollTop = element.scrollHeight;
}

function Emptiness({ count }: { count: number }) {
  const state = chatState.value;
  if (state === "ready") return count === 0 ? <p class="quiet chat-empty">Nobody has written yet. Say hello.</p> : null;
  if (state === "loading") return count === 0 ? <ChatSkeleton /> : null;
  return (
    <p class="quiet chat-empty">
      {state}{" "}
      <button type="button" class="link-button" onClick={reload}>
        Try again
      </button>
    </p>
  );
}

function ChatSkeleton() {
  return (
    <div class="chat-skeleton" aria-label="Loading the chat" role="status">
      {[70, 45, 60, 35, 55].map((width) => (
        <span key={width} class="skeleton" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}

function Composer({ name, raise }: { name: string; raise: () => void }) {
  const body = useSignal("");
  const left = useCountdown(blockedUntil.value);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (left > 0 || isSending.value) return;
    const text = body.value;
    if (await sendMessage(text)) body.value = body.value === text ? "" : body.value;
  };
  const problem = left > 0 ? `You can write again in ${left} s.` : sendProblem.value;
  return (
    <form class="composer" onSubmit={(event) => void submit(event)}>
      {problem && (
        <p class="composer-problem" role="status">
          {problem}
        </p>
      )}
      <input class="field" aria-label={`Write to ${name}'s chat`} placeholder="Say something…" maxLength={500} autocomplete="off" enterkeyhint="send" onFocus={raise} value={body.value} onInput={(event) => (body.value = event.currentTarget.value)} />
      {body.value.length > 400 && <span class="quiet small">{500 - body.value.length} characters left</span>}
    </form>
  );
}

/** Whole seconds until a moment, counted down; 0 once it has passed. */
function useCountdown(until: number): number {
  const now = useSignal(Date.now());
  useEffect(() => {
    now.value = Date.now();
    if (until <= Date.now()) return;
    const timer = window.setInterval(() => {
      now.value = Date.now();
      if (now.value >= until) window.clearInterval(timer);
    }, 250);
    return () => window.clearInterval(timer);
  }, [until]);
  return Math.max(0, Math.ceil((until - now.value) / 1000));
}
