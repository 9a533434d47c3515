import { effect } from "@preact/signals";
import { get, patch, post, remove } from "../api";
import { leaveEverything } from "../presence";
import { inWords } from "../problems";
import type { Account, Profile } from "../protocol";
import { navigate } from "../router";
import { connect, connection, disconnect, farewell, on, type Farewell } from "../socket";
import { account, forgetEverything } from "../state";
import { say } from "../status";
import { holding, stop } from "../streams/publishing";

interface Answer {
  account: Account | null;
}

/** Asks who we are; also receives the CSRF cookie. Throws when Livewall can not be reached. */
export async function resumeSession(): Promise<void> {
  const answer = await get<Answer>("/api/session");
  enter(answer.account);
}

function enter(who: Account | null): void {
  account.value = who;
  if (who === null) disconnect();
  else if (connection.value.state === "off") connect();
}

export async function continueAsGuest(): Promise<void> {
  enter((await post<Answer>("/api/session/guest", {})).account);
}

export async function signIn(name: string, password: string): Promise<void> {
  const answer = await post<Answer>("/api/session", { name, password });
  // Who we were until now, a guest perhaps, is still on the socket and would count for a minute more.
  await stopAndLeave();
  startAfresh();
  enter(answer.account);
}

/** A guest keeps their profile, wall and follows; anybody else starts with a new profile. */
export async function createAccount(name: string, password: string, displayName: string): Promise<void> {
  const body = { name, password, ...(displayName ? { display_name: displayName } : {}) };
  const answer = await post<Answer>("/api/accounts", body);
  startAfresh();
  enter(answer.account);
}

/** The socket still speaks for who we were: it has to be opened anew. */
function startAfresh(): void {
  disconnect();
  forgetEverything();
}

async function stopAndLeave(): Promise<void> {
  if (holding.value !== null) await stop();
  leaveEverything();
}

export async function signOut(): Promise<void> {
  try {
    await stopAndLeave();
    await remove("/api/session");
  } catch (error) {
    say(inWords(error));
    return;
  }
  startAfresh();
  account.value = null;
  navigate("/");
}

export async function saveProfile(change: Partial<Pick<Profile, "name" | "display_name" | "bio">>): Promise<void> {
  const profile = await patch<Profile>("/api/me", change);
  if (account.value) account.value = { ...account.value, profile };
}

export async function deleteAccount(): Promise<void> {
  await stopAndLeave();
  await remove("/api/me");
  startAfresh();
  account.value = null;
  navigate("/");
}

on("goodbye", (message) => {
  if (message.reason === "signed_out") farewell.value = "signed_out";
});

const farewellWords: Record<Farewell, string> = {
  signed_out: "You are signed out.",
  banned: "This account may not use Livewall at the moment.",
  foreign: "Livewall does not answer under this address. Open it under its own.",
};

effect(() => {
  const why = farewell.value;
  if (why === null) return;
  forgetEverything();
  disconnect();
  account.value = null;
  say(farewellWords[why]);
});
