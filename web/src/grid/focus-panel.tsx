import { useEffect } from "preact/hooks";
import { GiftTray } from "../gifts/tray";
import { moderatorItems } from "../moderation/bans";
import { Link, profilePath } from "../router";
import { account, blocked } from "../state";
import { Avatar } from "../ui/avatar";
import { Menu } from "../ui/menu";
import { lasting, people } from "../ui/words";
import { FollowButton } from "../social/follow-button";
import { loadProfile, profiles, setBlocked } from "../social/people";
import { Links } from "../social/links";
import { giftTarget } from "./gift-target";
import { focusedId, focusedStream, personOf, removeFromWall } from "./wall-state";

/** Below the wall: who the focused streamer is and how to stay in touch. */
export function FocusPanel() {
  const id = focusedId.value;
  const person = id === null ? null : personOf(id);
  const profile = person ? profiles.value.get(person.name) : undefined;
  useEffect(() => {
    if (person) void loadProfile(person.name).catch(() => undefined);
  }, [person?.name, profile === undefined]);
  if (!person) return <FirstSteps />;
  const stream = focusedStream.value;
  const isMe = person.id === account.value?.profile.id;
  const target = giftTarget(person.id);
  return (
    <section class="card focus-panel" aria-label={`About ${person.display_name}`}>
      <Avatar name={person.name} size="large" />
      <div class="focus-text">
        <h2>
          <Link href={profilePath(person.name)}>{person.display_name}</Link>
          <span class="quiet">{[stream?.title, sinceWords(stream?.live_since)].filter(Boolean).join(" · ")}</span>
        </h2>
        {profile?.bio && <p>{profile.bio}</p>}
        {profile && <Links links={profile.links} />}
        {stream?.live_available && <p class="quiet small">{stateWords(stream.is_published, stream.active_viewer_count)}</p>}
      </div>
      <div class="focus-actions">
        {profile && <FollowButton profile={profile} />}
        {!isMe && (
          <Menu
            label={`More about ${person.display_name}`}
            items={[
              {
                label: blocked.value.has(person.id) ? `Unblock ${person.display_name}` : `Block ${person.display_name}`,
                isLoss: true,
                run: () => {
                  if (!blocked.value.has(person.id)) removeFromWall(person.id);
                  void setBlocked(person, !blocked.value.has(person.id));
                },
              },
              ...moderatorItems(person),
            ]}
          />
        )}
      </div>
      {target && <GiftTray key={person.id} to={target} />}
    </section>
  );
}

function sinceWords(since: string | null | undefined): string {
  return since ? lasting(since) : "";
}

function stateWords(isPublished: boolean, viewers: number): string {
  if (isPublished) return `Sending video, ${people(viewers)} watching.`;
  return "Live, and the camera sends as soon as somebody watches.";
}

function FirstSteps() {
  return (
    <section class="card focus-panel first-steps">
      <div class="focus-text">
        <h2>This is your wall</h2>
        <p class="quiet">Add up to twelve people. Press a tile and its video starts; up to four play at once.</p>
      </div>
    </section>
  );
}
