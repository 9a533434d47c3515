import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, put } from "../api";
import { inWords } from "../problems";
import type { Account, Link as ProfileLink, Profile, ProfilePage } from "../protocol";
import { Link } from "../router";
import { setBlocked } from "../social/people";
import { account, isStaff } from "../state";
import { say } from "../status";
import { CloseIcon } from "../ui/icons";
import { theme, type Theme } from "../ui/theme";
import { deleteAccount, saveProfile, signOut } from "./session";

export function Settings() {
  const who = account.value;
  if (!who) return null;
  return (
    <div class="page settings">
      <h1>Settings</h1>
      {who.is_guest && (
        <div class="notice notice-row">
          <p>You are a guest. An account keeps your wall and your name.</p>
          <Link class="button primary" href="/create-account">
            Create account
          </Link>
        </div>
      )}
      {isStaff.value && <Moderating />}
      <ProfileForm who={who} />
      <LinksForm name={who.profile.name} />
      <Look />
      <Blocks />
      <Leaving who={who} />
    </div>
  );
}

function Moderating() {
  return (
    <section class="card">
      <h2 class="card-title">You are a moderator</h2>
      <p>In the menu of any chat message you can delete it, mute its writer in that chat, and ban them. The menu on a profile bans and lifts a ban. A ban ends every session at once.</p>
      <p>
        What people report is in the list of <Link href="/reports">reported messages</Link>.
      </p>
    </section>
  );
}

function ProfileForm({ who }: { who: Account }) {
  const name = useSignal(who.profile.name);
  const displayName = useSignal(who.profile.display_name);
  const bio = useSignal(who.profile.bio);
  const problem = useSignal<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    problem.value = null;
    const renamed = name.value === who.profile.name ? {} : { name: name.value };
    try {
      await saveProfile({ ...renamed, display_name: displayName.value, bio: bio.value });
      say("Your profile is saved.");
    } catch (error) {
      problem.value = inWords(error);
    }
  };
  return (
    <form class="card" onSubmit={(event) => void submit(event)}>
      <h2 class="card-title">Profile</h2>
      <label class="labelled">
        <span>Name</span>
        <input class="field" value={name.value} minLength={3} maxLength={24} autocapitalize="none" spellcheck={false} onInput={(event) => (name.value = event.currentTarget.value)} />
      </label>
      <label class="labelled">
        <span>Shown as</span>
        <input class="field" value={displayName.value} maxLength={40} onInput={(event) => (displayName.value = event.currentTarget.value)} />
      </label>
      <label class="labelled">
        <span>About you</span>
        <textarea class="field" rows={3} maxLength={300} value={bio.value} onInput={(event) => (bio.value = event.currentTarget.value)} />
      </label>
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="submit" class="button primary">
        Save profile
      </button>
    </form>
  );
}

function LinksForm({ name }: { name: string }) {
  const links = useSignal<ProfileLink[] | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    get<ProfilePage>(`/api/profiles/${encodeURIComponent(name)}`)
      .then((profile) => (links.value = profile.links.map(({ label, url }) => ({ label, url }))))
      .catch((error: unknown) => (problem.value = inWords(error)));
  }, [name]);
  const change = (at: number, patch: Partial<ProfileLink>): void => {
    links.value = (links.value ?? []).map((link, index) => (index === at ? { ...link, ...patch } : link));
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    problem.value = null;
    try {
      await put("/api/me/links", { links: links.value ?? [] });
      say("Your links are saved.");
    } catch (error) {
      problem.value = inWords(error);
    }
  };
  return (
    <form class="card" onSubmit={(event) => void submit(event)}>
      <h2 class="card-title">Links</h2>
      {(links.value ?? []).map((link, at) => (
        <div class="link-row" key={at}>
          <input class="field" aria-label={`Words of link ${at + 1}`} placeholder="Words" maxLength={40} value={link.label} onInput={(event) => change(at, { label: event.currentTarget.value })} />
          <input class="field" aria-label={`Address of link ${at + 1}`} placeholder="https://" type="url" required value={link.url} onInput={(event) => change(at, { url: event.currentTarget.value })} />
          <button type="button" class="tool" aria-label={`Remove link ${at + 1}`} onClick={() => (links.value = (links.value ?? []).filter((_, index) => index !== at))}>
            <CloseIcon />
          </button>
        </div>
      ))}
      {links.value?.length === 0 && <p class="quiet">No links yet.</p>}
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <div class="button-row">
        <button type="button" class="button" disabled={(links.value?.length ?? 10) >= 10} onClick={() => (links.value = [...(links.value ?? []), { label: "", url: "" }])}>
          Add a link
        </button>
        <button type="submit" class="button primary" disabled={links.value === null}>
          Save links
        </button>
      </div>
    </form>
  );
}

const looks: { value: Theme; label: string }[] = [
  { value: "system", label: "As this device" },
  { value: "dark", label: "Dark" },
  { value: "light", label: "Light" },
];

function Look() {
  return (
    <fieldset class="card looks">
      <legend class="card-title">Look</legend>
      {looks.map(({ value, label }) => (
        <label key={value}>
          <input type="radio" name="theme" checked={theme.value === value} onChange={() => (theme.value = value)} /> {label}
        </label>
      ))}
    </fieldset>
  );
}

function Blocks() {
  const list = useSignal<Profile[] | null>(null);
  useEffect(() => {
    get<{ profiles: Profile[] }>("/api/me/blocks")
      .then(({ profiles }) => (list.value = profiles))
      .catch(() => (list.value = []));
  }, []);
  const unblock = async (profile: Profile): Promise<void> => {
    await setBlocked(profile, false);
    list.value = (list.value ?? []).filter((other) => other.id !== profile.id);
  };
  return (
    <section class="card">
      <h2 class="card-title">Blocked people</h2>
      {list.value?.length === 0 && <p class="quiet">You have blocked nobody.</p>}
      <ul class="people">
        {list.value?.map((profile) => (
          <li key={profile.id}>
            <span>{profile.display_name}</span>
            <button type="button" class="button" aria-label={`Unblock ${profile.display_name}`} onClick={() => void unblock(profile)}>
              Unblock
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Leaving({ who }: { who: Account }) {
  const isSure = useSignal(false);
  const leave = (): void => {
    if (!isSure.value) {
      isSure.value = true;
      return;
    }
    deleteAccount()
      .then(() => say("Your account is deleted."))
      .catch((error: unknown) => say(inWords(error)));
  };
  return (
    <section class="card">
      <h2 class="card-title">Leaving</h2>
      <p class="quiet">{who.is_guest ? "A guest who signs out can not come back to the same wall." : "Deleting takes your profile, wall, follows and messages with it. It can not be undone."}</p>
      <div class="button-row">
        <button type="button" class="button" onClick={() => void signOut()}>
          Sign out
        </button>
        <button type="button" class="button loss" onClick={leave}>
          {isSure.value ? "Yes, delete everything" : "Delete account"}
        </button>
      </div>
    </section>
  );
}
