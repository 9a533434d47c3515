import { get } from "../api";
import type { AuditEntry } from "../protocol";
import { Link, profilePath } from "../router";
import { LinesSkeleton, ListHead, Trouble } from "../ui/trouble";
import { dateAndExactTime } from "../ui/words";
import { aboutWords, detailsOf, nobodyToShow } from "./audit-words";
import { useConsoleChanges } from "./console-changes";
import type { Pages } from "./paging";
import { ShowOlder } from "./show-older";
import { usePages } from "./use-pages";

async function read(before: number | null): Promise<Pages<AuditEntry, number>> {
  return get<Pages<AuditEntry, number>>(`/api/admin/audit${before === null ? "" : `?before=${before}`}`);
}

/** Who decided what, and why. Nobody can take a line out of it. */
export function Audit() {
  const list = usePages({ read, keyOf: (entry: AuditEntry) => `${entry.id}` }, "audit", [useConsoleChanges()]);
  const pages = list.pages.value;
  return (
    <>
      <ListHead title="Audit" refresh={() => void list.refresh()} />
      <p class="quiet">Every decision about money, who made it and why, newest first.</p>
      {list.problem.value && <Trouble words={list.problem.value} retry={list.retry} />}
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
      <ShowOlder list={list} />
    </>
  );
}

function Row({ entry }: { entry: AuditEntry }) {
  return (
    <tr role="row">
      <td role="cell" data-label="When">
        {dateAndExactTime(entry.at)}
      </td>
      <td role="cell" data-label="Who">
        {entry.actor ? <Link href={profilePath(entry.actor.name)}>{entry.actor.display_name}</Link> : <span class="quiet">{nobodyToShow(entry)}</span>}
      </td>
      <td role="cell" data-label="What">
        {entry.action.replaceAll("_", " ")}
      </td>
      <td role="cell" data-label="About">
        <About entry={entry} />
      </td>
      <td role="cell" data-label="Details">
        <Details entry={entry} />
      </td>
    </tr>
  );
}

function About({ entry }: { entry: AuditEntry }) {
  const { words, id } = aboutWords(entry);
  return (
    <>
      {words}
      {entry.buyer && (
        <>
          {" of "}
          <Link href={profilePath(entry.buyer.name)}>{entry.buyer.display_name}</Link>
        </>
      )}
      {id && <small class="quiet code">{id}</small>}
    </>
  );
}

function Details({ entry }: { entry: AuditEntry }) {
  const details = detailsOf(entry);
  if (details.length === 0) return <span class="quiet">none</span>;
  return (
    <ul class="details">
      {details.map(({ label, words }) => (
        <li key={label}>
          <span class="quiet">{label}</span> {words}
        </li>
      ))}
    </ul>
  );
}
