import { useSignal } from "@preact/signals";
import { GiftMessage } from "../gifts/gift-message";
import { ban } from "../moderation/bans";
import type { ChatMessage } from "../protocol";
import { Link, profilePath } from "../router";
import { reportMessage, setBlocked } from "../social/people";
import { account, isStaff, streams } from "../state";
import { hueOf } from "../ui/avatar";
import { Dialog } from "../ui/dialog";
import { Menu, type MenuItem } from "../ui/menu";
import { timeOfDay } from "../ui/words";
import { deleteMessage, moderatesHere, muteInChat, unmuteInChat } from "./chat-state";

const muteFor = 600;

export function Message({ message }: { message: ChatMessage }) {
  const isReporting = useSignal(false);
  const { sender } = message;
  if (message.is_deleted) return <li class="message message-gone">Message deleted</li>;
  if (message.type === "gift") return <GiftMessage message={message} />;
  if (sender === null || message.type !== "text") return <li class="message message-system">{message.body}</li>;
  const items = actions(message, () => (isReporting.value = true));
  return (
    <li class="message" data-message-id={message.id}>
      <Link href={profilePath(sender.name)} class={`sender hue-${hueOf(sender.name)}`} title={timeOfDay(message.created_at)}>
        {sender.display_name}
      </Link>{" "}
      <span class="message-body">{message.body}</span>
      {items.length > 0 && <Menu label={`Message of ${sender.display_name}`} items={items} className="tool message-menu" />}
      {isReporting.value && <Report message={message} close={() => (isReporting.value = false)} />}
    </li>
  );
}

function actions(message: ChatMessage, report: () => void): MenuItem[] {
  const { sender } = message;
  if (!account.value || sender === null) return [];
  const isMine = sender.id === account.value.profile.id;
  const moderates = moderatesHere(streams.value.get(message.stream_id)?.streamer.id);
  const items: (MenuItem | false)[] = [
    !isMine && { label: "Report to moderators", run: report },
    moderates && !isMine && { label: `Mute ${sender.display_name} for 10 minutes`, run: () => void muteInChat(message, muteFor) },
    moderates && !isMine && { label: `Let ${sender.display_name} write again`, run: () => void unmuteInChat(message) },
    !isMine && { label: `Block ${sender.display_name}`, run: () => void setBlocked(sender, true), isLoss: true },
    isStaff.value && !isMine && { label: `Ban ${sender.display_name} for 24 hours`, run: () => void ban(sender, `Chat message ${message.id}`), isLoss: true },
    (isMine || moderates) && { label: "Delete message", run: () => void deleteMessage(message), isLoss: true },
  ];
  return items.filter((item) => item !== false);
}

const reasons = ["It insults or threatens somebody", "It is advertising or a trick", "It is sexual or violent", "Something else"];

function Report({ message, close }: { message: ChatMessage; close: () => void }) {
  const send = (reason: string): void => {
    void reportMessage(message.id, reason);
    close();
  };
  return (
    <Dialog title="What is wrong with it?" close={close}>
      <blockquote class="quiet">{message.body}</blockquote>
      <div class="choices">
        {reasons.map((reason) => (
          <button key={reason} type="button" class="button" onClick={() => send(reason)}>
            {reason}
          </button>
        ))}
      </div>
    </Dialog>
  );
}
