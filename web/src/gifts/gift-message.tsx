import type { ChatMessage } from "../protocol";
import { Link, profilePath } from "../router";
import { streams } from "../state";
import { GiftIcon } from "../ui/icons";
import { timeOfDay } from "../ui/words";
import { GiftPicture, isDrawn } from "./gift-picture";

/** A gift in the chat; the body is the server's: emoji, title and price. */
export function GiftMessage({ message }: { message: ChatMessage }) {
  const { sender } = message;
  const [emoji = "", ...words] = message.body.split(" ");
  const name = streams.value.get(message.stream_id)?.streamer.display_name ?? "a gift";
  return (
    <li class="message-gift" data-message-id={message.id} title={timeOfDay(message.created_at)}>
      {isDrawn(emoji) ? <GiftPicture emoji={emoji} /> : <GiftIcon />}
      <span>
        {sender ? <Link href={profilePath(sender.name)}>{sender.display_name}</Link> : <strong>Somebody</strong>} sent {name} <strong class="numbers">{isDrawn(emoji) ? words.join(" ") : message.body}</strong>
        <span class="quiet-words"> coins</span>
      </span>
    </li>
  );
}
