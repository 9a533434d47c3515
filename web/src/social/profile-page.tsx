import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Preview } from "../grid/preview";
import { moderatorItems } from "../moderation/bans";
import { inWords, Refusal } from "../problems";
import type { ProfilePage as Profile, Stream } from "../protocol";
import { Link } from "../router";
import { account, streamOf } from "../state";
import { Avatar } from "../ui/avatar";
import { Lamp } from "../ui/lamp";
import { Menu } from "../ui/menu";
import { count, people } from "../ui/words";
import { FollowButton } from "./follow-button";
import { Links } from "./links";
import { WallButton } from "./live-grid";
import { loadProfile, profiles, setBlocked } from "./people";

/** `/@name`: who somebody is, their links, their stream if they are live. */
export function ProfilePage({ name }: { name: string }) {
  const problem = useSignal<string | null>(null);
  const isNobody = useSignal(false);
  const profile = profiles.value.get(name) ?? [...profiles.value.values()].find((known) => known.name === name.toLowerCase());
  const load = (): void => {
    problem.value = null;
    loadProfile(name, true).catch((error: unknown) => {
      isNobody.value = error instanceof Refusal && (error.code === "not_found" || error.code === "name_invalid");
      problem.value = isNobody.value ? `Nobody here is called ${name}` : inWords(error);
    });
  };
  useEffect(load, [name, account.value?.profile.id]);
  if (profile) return <Known profile={profile} />;
  if (problem.value) return <NoProfile words={problem.value} retry={isNobody.value ? null : load} />;
  return (
    <div class="page">
      <div class="card person-row skeleton profile-skeleton" aria-label="Loading the profile" role="status" />
    </div>
  );
}

function NoProfile({ words, retry }: { words: string; retry: (() => void) | null }) {
  return (
    <div class="page empty-page">
      <h1>{words}</h1>
      {retry === null && <p class="quiet">The name may be mistyped, or they may have changed it.</p>}
      <div class="button-row">
        {retry && (
          <button type="button" class="button primary" onClick={retry}>
            Try again
          </button>
        )}
        <Link class={retry ? "button" : "button primary"} href="/discover">
          See who is live
        </Link>
        <Link class="button" href="/">
          To the wall
        </Link>
      </div>
    </div>
  );
}

function Known({ profile }: { profile: Profile }) {
  const stream = streamOf.value.get(profile.id) ?? profile.stream;
  return (
    <div class="page profile">
      <section class="card profile-head">
        <Avatar name={profile.name} size="large" />
        <div class="person-text">
          <h1>{profile.display_name}</h1>
          <p class="quiet numbers">
            @{profile.name}
            {profile.is_demo ? " · demo" : profile.is_guest && " · guest"} · {count(profile.followers)} {profile.followers === 1 ? "follower" : "followers"} · follows {count(profile.following)}
          </p>
          {profile.bio && <p class="bio">{profile.bio}</p>}
          <Links links={profile.links} />
        </div>
        <Actions profile={profile} />
      </section>
      {profile.you_block && <p class="notice">You have blocked {profile.display_name}. You do not see each other's streams and messages.</p>}
      {stream?.live_available && !profile.you_block ? <OnAir stream={stream} /> : <p class="quiet empty-note">{profile.display_name} is not live at the moment.</p>}
    </div>
  );
}

function Actions({ profile }: { profile: Profile }) {
  if (!account.value) return null;
  if (account.value.profile.id === profile.id) {
    return (
      <Link class="button" href="/settings">
        Edit profile
      </Link>
    );
  }
  const label = profile.you_block ? `Unblock ${profile.display_name}` : `Block ${profile.display_name}`;
  return (
    <div class="focus-actions">
      <FollowButton profile={profile} />
      <Menu label={`More about ${profile.display_name}`} items={[{ label, isLoss: !profile.you_block, run: () => void setBlocked(profile, !profile.you_block) }, ...moderatorItems(profile)]} />
    </div>
  );
}

function OnAir({ stream }: { stream: Stream }) {
  return (
    <section class="card on-air" aria-label="Live now">
      <div class="live-picture">
        <Preview stream={stream} name={stream.streamer.name} />
      </div>
      <div class="person-text">
        <h2>{stream.title}</h2>
        <p class="quiet">
          <Lamp isOn={stream.is_published} /> {stream.is_published ? `Sending video, ${people(stream.active_viewer_count)} watching` : "Live, sends video when somebody watches"}
        </p>
        {account.value ? <WallButton stream={stream} /> : <Link class="button" href="/">Come in to watch</Link>}
      </div>
    </section>
  );
}
