import { get } from "../api";
import { deleteMessage } from "../chat/chat-state";
import type { Pages } from "../ledger/paging";
import { ShowOlder } from "../ledger/show-older";
import { usePages } from "../ledger/use-pages";
import type { ChatReport, Person } from "../protocol";
import { Link, profilePath } from "../router";
import { account, isStaff } from "../state";
import { LinesSkeleton, Trouble } from "../ui/trouble";
import { dateAndTime } from "../ui/words";
import { ban } from "./bans";

async function read(before: number | null): Promise<Pages<ChatReport, number>> {
  return get<Pages<ChatReport, number>>(`/api/chat/reports${before === null ? "" : `?before=${before}`}`);
}

/** What people reported, for moderators; the words are those of the moment of the report. */
export function Reports() {
  if (!isStaff.value) return <NotForYou />;
  return <List />;
}

function List() {
  const list = usePages({ read, keyOf: (report: ChatReport) => `${report.id}` }, "reports");
  const pages = list.pages.value;
  const remove = async ({ message }: ChatReport): Promise<void> => {
    const known = list.pages.value;
    if (!(await deleteMessage(message)) || known === null) return;
    const gone = { ...message, is_deleted: true, body: "" };
    list.pages.value = { ...known, entries: known.entries.map((one) => (one.message.id === message.id ? { ...one, message: gone } : one)) };
  };
  return (
    <div class="page reports">
      <h1>Reported messages</h1>
      <p class="quiet">Newest first. A report keeps the words as they were, also when the message is deleted.</p>
      {list.problem.value && <Trouble words={list.problem.value} retry={list.retry} />}
      {pages === null && !list.problem.value && <LinesSkeleton label="Loading reported messages" lines={4} />}
      {pages?.entries.length === 0 && <p class="quiet empty-note">Nobody has reported anything.</p>}
      <ul class="people-list">
        {pages?.entries.map((report) => (
          <Row key={report.id} report={report} remove={() => void remove(report)} />
        ))}
      </ul>
      <ShowOlder list={list} />
    </div>
  );
}

function Row({ report, remove }: { report: ChatReport; remove: () => void }) {
  const { sender, created_at } = report.message;
  return (
    <li class="card">
      <p class="quiet small">
        <Who person={sender} /> wrote on {dateAndTime(created_at)}:
      </p>
      <blockquote>{report.body}</blockquote>
      <p class="quiet small">
        <Who person={report.reporter} /> reported it on {dateAndTime(report.reported_at)}: {report.reason}
      </p>
      <Actions report={report} remove={remove} />
    </li>
  );
}

function Actions({ report, remove }: { report: ChatReport; remove: () => void }) {
  const { id, sender, is_deleted } = report.message;
  const mayBan = sender !== null && sender.id !== account.value?.profile.id;
  return (
    <div class="button-row">
      {is_deleted ? (
        <span class="quiet">The message is deleted.</span>
      ) : (
        <button type="button" class="button" onClick={remove}>
          Delete message
        </button>
      )}
      {mayBan && (
        <button type="button" class="button loss" onClick={() => void ban(sender, `Chat message ${id}`)}>
          Ban {sender.display_name} for 24 hours
        </button>
      )}
    </div>
  );
}

function Who({ person }: { person: Person | null }) {
  return person ? <Link href={profilePath(person.name)}>{person.display_name}</Link> : <>Somebody who has left</>;
}

function NotForYou() {
  return (
    <div class="page empty-page">
      <h1>This page is for moderators</h1>
      <p class="quiet">Sign in with an account that has the role moderator or admin.</p>
      <Link class="button primary" href="/">
        To the wall
      </Link>
    </div>
  );
}
