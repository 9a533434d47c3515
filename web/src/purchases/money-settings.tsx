import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, put } from "../api";
import { inWords } from "../problems";
import type { PurchaseSettings } from "../protocol";
import { account } from "../state";
import { say } from "../status";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { changesOf, draftOf, fieldProblem, thresholdHint, type Draft } from "./settings-draft";
import { dateAndTime, dollars } from "../ui/words";

/** What is refused, what waits for a second person, and how gifts are split. */
export function MoneySettings() {
  const settings = useSignal<PurchaseSettings | null>(null);
  const problem = useSignal<string | null>(null);
  const load = (): void => {
    problem.value = null;
    get<PurchaseSettings>("/api/admin/purchase-settings")
      .then((found) => (settings.value = found))
      .catch((error: unknown) => (problem.value = inWords(error)));
  };
  useEffect(load, []);
  const isAdmin = account.value?.roles.includes("admin") === true;
  const waitsUntil = settings.value?.raises_apply_at;
  return (
    <>
      <h1>Settings</h1>
      <p class="quiet">
        {isAdmin ? "A limit or threshold that you raise or remove applies 24 hours later, every other change at once. All stay in the audit log." : "Only an admin can change these."}
        {settings.value && waitsUntil && <strong> What was raised applies from {dateAndTime(waitsUntil)}. {inForceWords(settings.value)}</strong>}
      </p>
      {problem.value && <Trouble words={problem.value} retry={load} />}
      {settings.value === null && !problem.value && <LinesSkeleton label="Loading the settings" lines={5} />}
      {settings.value !== null && <Form key={JSON.stringify(settings.value)} settings={settings.value} isAdmin={isAdmin} saved={(now) => (settings.value = now)} />}
    </>
  );
}

/** The lowest of the last 24 hours, which still counts. */
function inForceWords({ in_force: now }: PurchaseSettings): string {
  const daily = now.daily_threshold_cents === null ? "" : `, over ${dollars(now.daily_threshold_cents)} within 24 hours`;
  return `Until then purchases are at most ${dollars(now.limit_cents)}, and those over ${dollars(now.threshold_cents)}${daily} wait for approval.`;
}

interface FormProps {
  settings: PurchaseSettings;
  isAdmin: boolean;
  saved: (now: PurchaseSettings) => void;
}

interface FieldWords {
  name: keyof Draft;
  label: string;
  hint: string;
  isMoney: boolean;
}

const fields: FieldWords[] = [
  { name: "limit", label: "Largest purchase, in US dollars", hint: "A larger one is refused.", isMoney: true },
  { name: "threshold", label: "Approval over, in US dollars", hint: "A larger purchase waits for a second person before the card is charged.", isMoney: true },
  { name: "daily", label: "Approval over, within 24 hours, in US dollars", hint: "All purchases of one person together. Empty: no such threshold.", isMoney: true },
  { name: "velocity", label: "Purchases of one person within a minute", hint: "One more is refused.", isMoney: false },
  { name: "share", label: "Streamer's share of a gift, in percent", hint: "The rest is the platform's.", isMoney: false },
];

function Form({ settings, isAdmin, saved }: FormProps) {
  const draft = useSignal<Draft>(draftOf(settings));
  const reason = useSignal("");
  const problem = useSignal<string | null>(null);
  const changes = changesOf(settings, draft.value);
  const write = (name: keyof Draft, text: string): void => {
    draft.value = { ...draft.value, [name]: text };
    problem.value = null;
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (changes === null) return;
    problem.value = null;
    try {
      saved(await put<PurchaseSettings>("/api/admin/purchase-settings", { ...changes, reason: reason.value.trim() }));
      say("The settings are saved.");
    } catch (error) {
      problem.value = inWords(error);
    }
  };
  return (
    <form class="card money-settings" onSubmit={(event) => void submit(event)}>
      {fields.map((field) => (
        <Field key={field.name} field={field} draft={draft.value} isOpen={isAdmin} write={(text) => write(field.name, text)} />
      ))}
      {isAdmin && (
        <label class="labelled">
          <span>Reason</span>
          <input class="field" required maxLength={500} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
          <small class="quiet">Kept in the audit log beside your name. Nothing is saved without one.</small>
        </label>
      )}
      {problem.value && (
        <p class="form-problem" role="alert">
          {problem.value}
        </p>
      )}
      {isAdmin && (
        <button type="submit" class="button primary" disabled={changes === null || Object.keys(changes).length === 0 || reason.value.trim() === ""}>
          Save settings
        </button>
      )}
    </form>
  );
}

interface FieldProps {
  field: FieldWords;
  draft: Draft;
  isOpen: boolean;
  write: (text: string) => void;
}

function Field({ field: { name, label, hint, isMoney }, draft, isOpen, write }: FieldProps) {
  const wrong = fieldProblem(name, draft);
  const notice = name === "threshold" ? thresholdHint(draft) : null;
  const id = `setting-${name}`;
  return (
    <div class="labelled">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        class="field numbers"
        inputMode={isMoney ? "decimal" : "numeric"}
        autocomplete="off"
        disabled={!isOpen}
        aria-invalid={wrong !== null}
        aria-describedby={`${id}-hint`}
        value={draft[name]}
        onInput={(event) => write(event.currentTarget.value)}
      />
      <small id={`${id}-hint`} class={wrong ? "form-problem" : "quiet"} aria-live="polite">
        {wrong ?? hint}
      </small>
      {notice && <small role="status">{notice}</small>}
    </div>
  );
}
