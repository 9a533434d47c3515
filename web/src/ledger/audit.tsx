import { get } from "../api";
import type { AuditEntry } from "../protocol";
import { Link, profilePath } from "../router";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dateAndTime } from "../ui/words";
import { nobodyToShow } from "./audit-words";
import type { Pages } from "./paging";
import { usePages } from "./use-pages";

async function read(before: number | null): Promise<Pages<AuditEntry, number>> {
  return get<Pages<AuditEntry, number>>(`/api/admin/audit${before === null ? "" : `?before=${before}`}`);
}

/** Who decided what, and why. Nobody can take a line out of it. */
export function Audit() {
  const list = usePages({ read, keyOf: (entry: AuditEntry) => `${entry.id}` }, "audit", null);
  const pages = list.pages.value;
  return (
    <>
      <h1>Audit</h1>
      <p class="quiet">Every decision about money, who made it and why, newest first.</p>
      {list.problem.value && <Trouble words={list.problem.value} retry={() => void list.refresh()} />}
      {pages === null && !list.problem.value && <LinesSkeleton label="Loading the audit log" lines={6} />}
      {pages?.entries.length === 0 && <p class="quiet empty-note">Nobody has decided anything yet.</p>}
      {pages !== null && pages.entries.length > 0 && (
        <table class="console-table numbers" role="table">
          <thead role="rowgroup">
            <tr role="row">
              {["When", "Who", "What", "About", "Details"].map((title) => (
                <th key={title} role="columnheader" scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {pages.entries.map((entry) => (
              <Row key={entry.id} entry={entry} />
            ))}
          </tbody>
        </table>
      )}
      {pages?.next != null && (
        <button type="button" class="button more" disabled={list.isLoading.value} onClick={() => void list.more()}>
          Show older
        </button>
      )}
    </>
  );
}

function Row({ entry }: { entry: AuditEntry }) {
  return (
    <tr role="row">
      <td role="cell" data-label="When">
        {dateAndTime(entry.at)}
      </td>
      <td role="cell" data-label="Who">
        {entry.actor ? <Link href={profilePath(entry.actor.name)}>{entry.actor.display_name}</Link> : <span class="quiet">{nobodyToShow(entry)}</span>}
      </td>
      <td role="cell" data-label="What">
        {entry.action.replaceAll("_", " ")}
      </td>
      <td role="cell" data-label="About" class="code">
        {entry.subject}
      </td>
      <td role="cell" data-label="Details">
        <Details details={entry.details} />
      </td>
    </tr>
  );
}

function Details({ details }: { details: Record<string, unknown> }) {
  const pairs = Object.entries(details);
  if (pairs.length === 0) return <span class="quiet">none</span>;
  return (
    <ul class="details">
      {pairs.map(([name, value]) => (
        <li key={name}>
          <span class="quiet">{name.replaceAll("_", " ")}</span> {typeof value === "string" ? value : JSON.stringify(value)}
        </li>
      ))}
    </ul>
  );
}
