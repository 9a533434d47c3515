import type { ProfilePage } from "../protocol";
import { account } from "../state";
import { setFollowing } from "./people";

export function FollowButton({ profile }: { profile: ProfilePage }) {
  if (!account.value || account.value.profile.id === profile.id) return null;
  const label = profile.you_follow ? "Following" : "Follow";
  const what = profile.you_follow ? `Following ${profile.display_name}. Press to unfollow.` : `Follow ${profile.display_name}`;
  return (
    <button type="button" class={profile.you_follow ? "button" : "button primary"} aria-pressed={profile.you_follow} aria-label={what} onClick={() => void setFollowing(profile, !profile.you_follow)}>
      {label}
    </button>
  );
}
