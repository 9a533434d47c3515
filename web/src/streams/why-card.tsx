import { navigate, Link, profilePath } from "../router";
import { loadProfile, profiles, setBlocked } from "../social/people";
import { Avatar } from "../ui/avatar";
import { Menu } from "../ui/menu";
import { Timeline } from "./timeline";
import { isLiveElsewhere, publishState, seated, waiting, why, type PublishState } from "./publishing";
import { listed } from "../ui/words";

const titles: Record<PublishState, string> = {
  off: "Why it is off",
  idle: "Why it is off",
  sending: "Why it is on",
};

/** Why video is or is not sent, in one sentence, and the proof below it. */
export function WhyCard() {
  const state = publishState.value;
  return (
    <section class="card why" aria-labelledby="why-title">
      <h2 id="why-title" class="card-title">
        {titles[state]}
      </h2>
      <p data-testid="why" aria-live="polite">
        <WhyWords state={state} />
      </p>
      <Timeline />
    </section>
  );
}

function WhyWords({ state }: { state: PublishState }) {
  const names = [...new Set(seated.value.map((watcher) => watcher.name))];
  if (state === "sending" && names.length > 0) {
    return (
      <>
        <strong>{listed(names)}</strong> {names.length === 1 ? "has" : "have"} your tile open with sound. It stops 5 seconds after the last one leaves.
      </>
    );
  }
  if (why.value?.text) return <>{why.value.text}</>;
  if (isLiveElsewhere.value) return <>You are live in another tab or on another device. Nothing leaves this one.</>;
  if (state === "off") return <>You are not live. Nothing leaves this computer until you go live and somebody watches.</>;
  return <>Nobody has your tile open with sound. Video starts within a second when somebody does.</>;
}

export function WatchersCard() {
  const names = seated.value.map((watcher) => watcher.name);
  return (
    <section class="card" aria-labelledby="watching-title">
      <h2 id="watching-title" class="card-title">
        Watching now
      </h2>
      {names.length === 0 ? <p class="quiet">Nobody at the moment.</p> : <People names={names} testId="watchers" />}
    </section>
  );
}

export function WaitingCard({ seats }: { seats: number }) {
  const names = waiting.value.map((person) => person.name);
  const room = `${numberWord(seats)} can watch directly from this browser.`;
  return (
    <section class="card" aria-labelledby="waiting-title">
      <h2 id="waiting-title" class="card-title">
        Waiting for a seat
      </h2>
      {names.length === 0 ? <p class="quiet">Nobody. {room}</p> : <People names={names} testId="waiting" />}
    </section>
  );
}

function numberWord(value: number): string {
  const words = ["No people", "One person", "Two people", "Three people", "Four people", "Five people", "Six people"];
  return words[value] ?? `${value} people`;
}

function People({ names, testId }: { names: readonly string[]; testId: string }) {
  return (
    <ul class="people" data-testid={testId}>
      {names.map((name, at) => (
        <PersonRow key={`${name} ${at}`} name={name} />
      ))}
    </ul>
  );
}

function PersonRow({ name }: { name: string }) {
  return (
    <li>
      <Avatar name={name} size="small" />
      <Link href={profilePath(name)}>{name}</Link>
      <Menu
        label={`More about ${name}`}
        items={[
          { label: "Open profile", run: () => navigate(profilePath(name)) },
          { label: `Block ${name}`, isLoss: true, run: () => void blockByName(name) },
        ]}
      />
    </li>
  );
}

async function blockByName(name: string): Promise<void> {
  await loadProfile(name).catch(() => undefined);
  const profile = profiles.value.get(name);
  if (profile) await setBlocked(profile, true);
}
