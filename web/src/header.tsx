import { ConsoleNav, consoleTitle } from "./console";
import { signOut } from "./identity/session";
import { BalanceLink } from "./ledger/balance-link";
import { Link, navigate, path, profilePath } from "./router";
import { account, decidesMoney, isStaff, ownStream } from "./state";
import { isLiveElsewhere, publishState } from "./streams/publishing";
import { Avatar } from "./ui/avatar";
import { CameraIcon, Logo } from "./ui/icons";
import { Lamp } from "./ui/lamp";
import { Menu } from "./ui/menu";

export function Header() {
  const isConsole = consoleTitle(path.value) !== undefined && decidesMoney.value;
  return (
    <header class={isConsole ? "bar console-bar" : "bar"}>
      <Link href="/" class="brand" aria-label="Livewall, to the wall">
        <Logo /> Livewall
      </Link>
      {isConsole ? <ConsoleNav /> : <Pages />}
      <div class="bar-end">
        {account.value && !isConsole && <LiveButton />}
        {account.value && !isConsole && <BalanceLink />}
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

function Pages() {
  return (
    <nav class="bar-nav" aria-label="Pages">
      {account.value && (
        <Link href="/" class="wide-only">
          Wall
        </Link>
      )}
      <Link href="/discover">Discover</Link>
      {account.value && <Link href="/following">Following</Link>}
    </nav>
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
    ...(decidesMoney.value ? [{ label: "Operator's console", run: () => navigate("/admin") }] : []),
    ...(isStaff.value ? [{ label: "Reported messages", run: () => navigate("/reports") }] : []),
    { label: "Your profile", run: () => navigate(profilePath(who.profile.name)) },
    { label: "Wallet", run: () => navigate("/wallet") },
    { label: "Settings", run: () => navigate("/settings") },
    ...(who.is_guest ? [{ label: "Create account", run: () => navigate("/create-account") }] : []),
    { label: "Sign out", run: () => void signOut() },
  ];
  return <Menu label={`You are ${who.profile.display_name}`} items={items} className="avatar-button" icon={<Avatar name={who.profile.name} />} />;
}
