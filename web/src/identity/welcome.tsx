import { useSignal } from "@preact/signals";
import { inWords } from "../problems";
import { Link, path } from "../router";
import { LiveGrid, useLive } from "../social/live-grid";
import { continueAsGuest } from "./session";

/** For those who are signed out: what this is, who is live, and the quickest way in. */
export function Welcome() {
  const live = useLive();
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const enter = async (): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      await continueAsGuest();
    } catch (error) {
      problem.value = inWords(error);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <div class="welcome">
      <section class="welcome-text">
        <h1>Twelve people, one wall, live.</h1>
        {path.value !== "/" && <p class="notice welcome-why">This page is for those who are signed in. Sign in, and you are here again.</p>}
        <p>Put the people you like on your wall. Press a tile and they send video to you; when nobody watches, their camera sends nothing.</p>
        <div class="welcome-actions">
          <button type="button" class="button primary big" disabled={isBusy.value} onClick={() => void enter()}>
            Continue as guest
          </button>
          <Link class="button big" href="/sign-in">
            Sign in
          </Link>
          <Link class="button big" href="/create-account">
            Create account
          </Link>
        </div>
        {problem.value && (
          <p class="form-problem" role="alert">
            {problem.value}
          </p>
        )}
      </section>
      <section aria-labelledby="live-title">
        <h2 id="live-title" class="section-title">
          Live now
        </h2>
        <LiveGrid live={live} most={8} empty="Nobody is live at the moment. Come in and be the first." />
      </section>
    </div>
  );
}
