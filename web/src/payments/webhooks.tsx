import { useSignal } from "@preact/signals";
import { get, post } from "../api";
import { useConsoleChanges } from "../ledger/console-changes";
import type { Pages } from "../ledger/paging";
import { ShowOlder } from "../ledger/show-older";
import { usePages } from "../ledger/use-pages";
import { inWords } from "../problems";
import type { PaymentEvent } from "../protocol";
import { say } from "../status";
import { LinesSkeleton, ListHead, Trouble } from "../ui/trouble";
import { dateAndExactTime } from "../ui/words";

type Outcome = PaymentEvent["outcome"];

const outcomes: Record<Outcome, string> = {
  waiting: "Waiting to be applied",
  applied: "Applied",
  parked: "Parked until its purchase is known",
  ignored: "Ignored, not about a payment of ours",
  failed: "Failed, tried again by itself",
};

function read(outcome: string): (before: string | null) => Promise<Pages<PaymentEvent, string>> {
  return async (before) => {
    const query = new URLSearchParams({ ...(outcome && { outcome }), ...(before !== null && { before }) });
    const page = await get<{ events: PaymentEvent[]; next: string | null }>(`/api/admin/webhooks?${query}`);
    return { entries: page.events, next: page.next };
  };
}

/** What payment providers reported, what became of it, and a way to have it read once more. */
export function Webhooks() {
  const outcome = useSignal("");
  const keyOf = (event: PaymentEvent): string => `${event.provider} ${event.event_id}`;
  const list = usePages({ read: read(outcome.value), keyOf, doChange: true }, outcome.value, [useConsoleChanges()]);
  const pages = list.pages.value;
  return (
    <>
      <ListHead title="Webhooks" refresh={() => void list.refresh()} />
      <p class="quiet">What payment providers reported. Replaying one is safe: what was applied already changes nothing.</p>
      <label class="filter">
        <span class="quiet">Show</span>
        <select class="field" value={outcome.value} onChange={(event) => (outcome.value = event.currentTarget.value)}>
          <option value="">Everything</option>
          {Object.entries(outcomes).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {list.problem.value && <Trouble words={list.problem.value} retry={list.retry} />}
      {pages === null && !list.problem.value && <LinesSkeleton label="Loading the webhooks" lines={6} />}
      {pages?.entries.length === 0 && <p class="quiet empty-note">Nothing here.</p>}
      {pages !== null && pages.entries.length > 0 && <Table events={pages.entries} replayed={() => void list.refresh()} />}
      <ShowOlder list={list} />
    </>
  );
}

function Table({ events, replayed }: { events: readonly PaymentEvent[]; replayed: () => void }) {
  return (
    <table class="console-table numbers" role="table">
      <thead role="rowgroup">
        <tr role="row">
          {["Received", "Event", "Payment", "Outcome", ""].map((title) => (
            <th key={title} role="columnheader" scope="col">
              {title || <span class="quiet-words">Action</span>}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {events.map((event) => (
          <Row key={`${event.provider} ${event.event_id}`} event={event} replayed={replayed} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ event, replayed }: { event: PaymentEvent; replayed: () => void }) {
  const isBusy = useSignal(false);
  const replay = async (): Promise<void> => {
    isBusy.value = true;
    try {
      const path = `/api/admin/webhooks/${encodeURIComponent(event.provider)}/${encodeURIComponent(event.event_id)}/replay`;
      const now = await post<PaymentEvent>(path);
      say(`${now.type}: ${outcomes[now.outcome].toLowerCase()}.`);
      replayed();
    } catch (error) {
      say(inWords(error));
    } finally {
      isBusy.value = false;
    }
  };
  const needsLook = event.outcome === "failed" || event.outcome === "parked";
  return (
    <tr role="row">
      <td role="cell" data-label="Received">
        {dateAndExactTime(event.received_at)}
      </td>
      <td role="cell" data-label="Event">
        {event.type}
        <small class="quiet code">
          {event.provider} {event.event_id}
        </small>
      </td>
      <td role="cell" data-label="Payment">
        <span class="code">{event.payment_id ?? "none"}</span>
      </td>
      <td role="cell" data-label="Outcome">
        <span class={needsLook ? "notable" : undefined}>{outcomes[event.outcome]}</span>
        {event.attempts > 1 && <small class="quiet">{event.attempts} attempts</small>}
        {event.error && <small class="quiet">{event.error}</small>}
      </td>
      <td role="cell" class="row-actions">
        <button type="button" class="button" disabled={isBusy.value} aria-label={`Replay ${event.type} ${event.event_id}`} onClick={() => void replay()}>
          Replay
        </button>
      </td>
    </tr>
  );
}
