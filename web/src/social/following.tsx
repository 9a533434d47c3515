import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import { inWords } from "../problems";
import type { FollowedProfile } from "../protocol";
import { Link, profilePath } from "../router";
import { learnStreams, streamOf } from "../state";
import { Avatar } from "../ui/avatar";
import { Lamp } from "../ui/lamp";
import { people } from "../ui/words";
import { WallButton } from "./live-grid";

export function Following() {
  const list = useSignal<FollowedProfile[] | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    get<{ profiles: FollowedProfile[] }>("/api/me/following")
      .then(({ profiles }) => {
        learnStreams(profiles.flatMap((profile) => (profile.stream ? [profile.stream] : [])));
        list.value = profiles;
      })
      .catch((error: unknown) => (problem.value = inWords(error)));
  }, []);
  return (
    <div class="page">
      <h1>Following</h1>
      {problem.value && <p class="quiet empty-note">{problem.value}</p>}
      {list.value?.length === 0 && (
        <p class="quiet empty-note">
          You follow nobody yet. Look at <Link href="/discover">who is live</Link>.
        </p>
      )}
      {list.value === null && !problem.value && <PeopleSkeleton />}
      <ul class="people-list">{list.value && liveFirst(list.value).map((profile) => <Row key={profile.id} profile={profile} />)}</ul>
    </div>
  );
}

function liveFirst(profiles: FollowedProfile[]): FollowedProfile[] {
  const rank = (profile: FollowedProfile): number => (profile.stream?.live_available ? 0 : 1);
  return [...profiles].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function Row({ profile }: { profile: FollowedProfile }) {
  const stream = streamOf.value.get(profile.id) ?? profile.stream;
  return (
    <li class="card person-row">
      <Avatar name={profile.name} />
      <div class="person-text">
        <strong>
          <Link href={profilePath(profile.name)}>{profile.display_name}</Link>
        </strong>
        <span class="quiet small">
          {stream?.live_available ? (
            <>
              <Lamp isOn={stream.is_published} /> {stream.title} · {people(stream.active_viewer_count)} watching
            </>
          ) : (
            "Not live"
          )}
        </span>
      </div>
      {stream?.live_available && <WallButton stream={stream} />}
    </li>
  );
}

function PeopleSkeleton() {
  return (
    <ul class="people-list" aria-busy="true" aria-label="Loading whom you follow">
      {[0, 1, 2].map((at) => (
        <li key={at} class="card person-row">
          <span class="avatar avatar-middle skeleton" />
          <span class="skeleton line" />
        </li>
      ))}
    </ul>
  );
}
