import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Wall } from "./grid/wall";
import { AccountForm } from "./identity/account-form";
import { resumeSession, signOut } from "./identity/session";
import { Settings } from "./identity/settings";
import { Welcome } from "./identity/welcome";
import { inWords } from "./problems";
import { Link, navigate, path, profilePath, readable } from "./router";
import { Discover } from "./social/discover";
import { Following } from "./social/following";
import { ProfilePage } from "./social/profile-page";
import { connection, retryNow, type Lost } from "./socket";
import { account, ownStream, ready } from "./state";
import { statusLine } from "./status";
import { isLiveElsewhere, publishState } from "./streams/publishing";
import { Studio } from "./streams/studio";
import { Avatar } from "./ui/avatar";
import { CameraIcon, Logo } from "./ui/icons";
import { Lamp } from "./ui/lamp";
import { Menu } from "./ui/menu";

export function App() {
  const problem = useSignal<string | null>(null);
  const start = (): void => {
    problem.value = null;
    resumeSession().catch((error: unknown) => (problem.value = inWords(error)));
  };
  useEffect(start, []);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <ConnectionBar />
      <main id="main" data-page={path.value.split("/")[1] || "wall"}>
        {problem.value ? <Unreachable words={problem.value} retry={start} /> : <Page />}
      </main>
      <StatusLine />
    </>
  );
}

const titles: Record<string, string> = {
  "/": "Wall",
  "/discover": "Discover",
  "/following": "Following",
  "/studio": "Studio",
  "/settings": "Settings",
  "/sign-in": "Sign in",
  "/create-account": "Create account",
};

function Page() {
  const at = path.value;
  useEffect(() => {
    const title = at.startsWith("/@") ? readable(at.slice(1)) : titles[at];
    document.title = title ? `${title} · Livewall` : "Livewall";
  }, [at]);
  if (account.value === undefined) return <p class="quiet-words">Loading</p>;
  if (at.startsWith("/@")) return <ProfilePage name={readable(at.slice(2))} />;
  if (at === "/sign-in") return <AccountForm kind="sign-in" />;
  if (at === "/create-account") return <AccountForm kind="create" />;
  if (at === "/discover") return <Discover />;
  if (!(at in titles)) return <Nowhere />;
  if (account.value === null) return <Welcome />;
  if (at === "/following") return <Following />;
  if (at === "/studio") return <Studio />;
  if (at === "/settings") return <Settings />;
  return <Wall />;
}

function Header() {
  return (
    <header class="bar">
      <Link href="/" class="brand" aria-label="Livewall, to the wall">
        <Logo /> Livewall
      </Link>
      <nav class="bar-nav" aria-label="Pages">
        {account.value && <Link href="/">Wall</Link>}
        <Link href="/discover">Discover</Link>
        {account.value && <Link href="/following">Following</Link>}
      </nav>
      <div class="bar-end">
        {account.value && <LiveButton />}
        {account.value && <AccountMenu />}
        {account.value === null && (
          <Link class="button" href="/sign-in">
            Sign in
          </Link>
        )}
      </div>
    </header>
  );
}

const liveWords = { off: "", idle: "Live, not sending", sending: "Sending video" };

/** To the studio; while one is live it says whether video is being sent. */
function LiveButton() {
  const state = publishState.value;
  if (state !== "off") {
    return (
      <Link class="button live-button" href="/studio">
        <Lamp isOn={state === "sending"} words="" /> <span class="wide-words">{liveWords[state]}</span>
      </Link>
    );
  }
  if (path.value === "/studio") return null;
  if (isLiveElsewhere.value) {
    return (
      <Link class="button live-button" href="/studio">
        <Lamp isOn={ownStream.value?.is_published ?? false} words="" /> <span class="wide-words">Live elsewhere</span>
      </Link>
    );
  }
  return (
    <Link class="button live-button" href="/studio">
      <CameraIcon /> <span class="wide-words">Go live</span>
    </Link>
  );
}

function AccountMenu() {
  const who = account.value;
  if (!who) return null;
  const items = [
    { label: "Your profile", run: () => navigate(profilePath(who.profile.name)) },
    { label: "Settings", run: () => navigate("/settings") },
    ...(who.is_guest ? [{ label: "Create account", run: () => navigate("/create-account") }] : []),
    { label: "Sign out", run: () => void signOut() },
  ];
  return <Menu label={`You are ${who.profile.display_name}`} items={items} className="avatar-button" icon={<Avatar name={who.profile.name} />} />;
}

const lostWords: Record<Lost, string> = {
  lost: "Connection lost.",
  restart: "Livewall is restarting.",
  crowded: "Livewall is open in too many tabs. Close one.",
  database: "Livewall is catching its breath.",
};

/** Only after the connection was there once: the first connecting is the skeletons' affair. */
function ConnectionBar() {
  const state = connection.value;
  const now = useSignal(Date.now());
  useEffect(() => {
    if (state.state !== "waiting") return;
    now.value = Date.now();
    const timer = window.setInterval(() => (now.value = Date.now()), 500);
    return () => window.clearInterval(timer);
  }, [state]);
  if (state.state === "off" || state.state === "open") return null;
  if (state.state === "connecting") {
    return ready.value ? <div class="connection-bar" role="status">Connecting again…</div> : null;
  }
  const seconds = Math.max(1, Math.ceil((state.retryAt - now.value) / 1000));
  return (
    <div class="connection-bar">
      <span role="status">
        {lostWords[state.why]} <span aria-hidden="true">Trying again in {seconds} s.</span>
      </span>
      <button type="button" class="link-button" onClick={retryNow}>
        Try now
      </button>
    </div>
  );
}

function StatusLine() {
  return (
    <div class="status-line" role="status" aria-live="polite">
      {statusLine.value && <span key={statusLine.value.key}>{statusLine.value.text}</span>}
    </div>
  );
}

function Unreachable({ words, retry }: { words: string; retry: () => void }) {
  return (
    <div class="page empty-page">
      <h1>Livewall is out of reach</h1>
      <p class="quiet">{words}</p>
      <button type="button" class="button primary" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

function Nowhere() {
  return (
    <div class="page empty-page">
      <h1>There is nothing here</h1>
      <p class="quiet">The address may be mistyped, or what was here is gone.</p>
      <Link class="button primary" href="/">
        To the wall
      </Link>
    </div>
  );
}
