import { useSignal } from "@preact/signals";
import { inWords } from "../problems";
import { Link, navigateBack } from "../router";
import { account } from "../state";
import { continueAsGuest, createAccount, signIn } from "./session";

/** Signing in, or creating an account; a guest who creates one keeps everything they have. */
export function AccountForm({ kind }: { kind: "sign-in" | "create" }) {
  const name = useSignal("");
  const password = useSignal("");
  const displayName = useSignal("");
  const problem = useSignal<string | null>(null);
  const isBusy = useSignal(false);
  const isNew = kind === "create";
  const enter = async (come: () => Promise<void>): Promise<void> => {
    isBusy.value = true;
    problem.value = null;
    try {
      await come();
      navigateBack();
    } catch (error) {
      problem.value = inWords(error);
    } finally {
      isBusy.value = false;
    }
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const called = name.value.trim();
    void enter(() => (isNew ? createAccount(called, password.value, displayName.value.trim()) : signIn(called, password.value)));
  };
  return (
    <form class="card narrow-form" onSubmit={submit}>
      <h1>{isNew ? "Create account" : "Sign in"}</h1>
      {isNew && account.value?.is_guest && <p class="quiet">Your wall, your follows and your chat stay with you.</p>}
      <label class="labelled">
        <span>Name</span>
        <input class="field" name="username" required minLength={3} maxLength={24} autocomplete="username" autocapitalize="none" spellcheck={false} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
        {isNew && <small class="quiet">3 to 24 of a to z, 0 to 9, dot and underscore.</small>}
      </label>
      {isNew && (
        <label class="labelled">
          <span>Shown as</span>
          <input class="field" name="display_name" maxLength={40} placeholder={name.value} value={displayName.value} onInput={(event) => (displayName.value = event.currentTarget.value)} />
        </label>
      )}
      <label class="labelled">
        <span>Password</span>
        <input class="field" name="password" type="password" required minLength={isNew ? 8 : 1} maxLength={200} autocomplete={isNew ? "new-password" : "current-password"} value={password.value} onInput={(event) => (password.value = event.currentTarget.value)} />
        {isNew && <small class="quiet">8 characters or more.</small>}
      </label>
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      <button type="submit" class="button primary" disabled={isBusy.value}>
        {isNew ? "Create account" : "Sign in"}
      </button>
      <OtherWays isNew={isNew} isBusy={isBusy.value} asGuest={() => void enter(continueAsGuest)} />
    </form>
  );
}

/** Whoever came by the wrong door finds the others here. */
function OtherWays({ isNew, isBusy, asGuest }: { isNew: boolean; isBusy: boolean; asGuest: () => void }) {
  return (
    <p class="other-ways">
      {isNew ? "You have an account? " : "New here? "}
      {isNew ? <Link href="/sign-in">Sign in</Link> : <Link href="/create-account">Create account</Link>}
      {account.value === null ? (
        <>
          {" or "}
          <button type="button" class="link-button" disabled={isBusy} onClick={asGuest}>
            continue as guest
          </button>
        </>
      ) : (
        <>
          {" or go "}
          <Link href="/">back to your wall</Link>
        </>
      )}
      .
    </p>
  );
}
