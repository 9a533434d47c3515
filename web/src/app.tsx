import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Console, consoleTitle } from "./console";
import { Wall } from "./grid/wall";
import { Header } from "./header";
import { AccountForm } from "./identity/account-form";
import { resumeSession } from "./identity/session";
import { Settings } from "./identity/settings";
import { Welcome } from "./identity/welcome";
import { WalletPage } from "./ledger/wallet-page";
import { Reports } from "./moderation/reports";
import { PayPage } from "./payments/pay-page";
import { SandboxPage } from "./payments/sandbox-page";
import { inWords } from "./problems";
import { ReceiptPage } from "./purchases/receipt";
import { Link, path, readable } from "./router";
import { Discover } from "./social/discover";
import { Following } from "./social/following";
import { ProfilePage } from "./social/profile-page";
import { connection, retryNow, type Lost } from "./socket";
import { account, ready } from "./state";
import { statusLine } from "./status";
import { Studio } from "./streams/studio";

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
  "/reports": "Reported messages",
  "/wallet": "Wallet",
  "/pay": "Pay",
  "/sign-in": "Sign in",
  "/create-account": "Create account",
};

function titleOf(at: string): string | null {
  if (at.startsWith("/@")) return readable(at.slice(1));
  return titles[at] ?? consoleTitle(at) ?? below(receipts, at, () => "Receipt") ?? below(sandbox, at, () => "Sandbox");
}

/** What those who are signed out see in place of any other page. */
const isOpenToAll = (at: string): boolean => at.startsWith("/@") || at === "/discover" || at === "/sign-in" || at === "/create-account";

function Page() {
  const at = path.value;
  const isOut = account.value === null;
  useEffect(() => {
    const title = titleOf(at);
    if (title === null) document.title = "Livewall";
    else document.title = `${isOut && !isOpenToAll(at) ? "Welcome" : title} · Livewall`;
  }, [at, isOut]);
  if (account.value === undefined) return <p class="quiet-words">Loading</p>;
  if (at.startsWith("/@")) return <ProfilePage name={readable(at.slice(2))} />;
  if (at === "/sign-in") return <AccountForm kind="sign-in" />;
  if (at === "/create-account") return <AccountForm kind="create" />;
  if (at === "/discover") return <Discover />;
  const page = pageOf(at);
  if (page === null) return <Nowhere />;
  return account.value === null ? <Welcome /> : page;
}

const receipts = "/wallet/purchases/";
const sandbox = "/sandbox/pay/";

/** What is done with the last part of an address, if it is one below `parent`. */
function below<T>(parent: string, at: string, make: (part: string) => T): T | null {
  return at.startsWith(parent) && at.length > parent.length ? make(readable(at.slice(parent.length))) : null;
}

/** The pages for those who are signed in; null where there is none. */
function pageOf(at: string): JSX.Element | null {
  if (at === "/following") return <Following />;
  if (at === "/studio") return <Studio />;
  if (at === "/settings") return <Settings />;
  if (at === "/reports") return <Reports />;
  if (at === "/wallet") return <WalletPage />;
  if (at === "/pay") return <PayPage />;
  if (at === "/") return <Wall />;
  if (consoleTitle(at) !== undefined) return <Console path={at} />;
  return below(receipts, at, (id) => <ReceiptPage id={id} />) ?? below(sandbox, at, (id) => <SandboxPage paymentId={id} />);
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
