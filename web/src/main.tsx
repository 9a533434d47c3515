import { render } from "preact";
import { App } from "./app";
import "./media/signals";
import "./media/viewer";
import { startPresence } from "./presence";
import { startPublishing } from "./streams/publishing";
import { claimSessionId } from "./tab";
import "./ui/theme";
import "./style/base.css";
import "./style/bar.css";
import "./style/controls.css";
import "./style/tile.css";
import "./style/wall.css";
import "./style/chat.css";
import "./style/studio.css";
import "./style/pages.css";
import "./style/money.css";
import "./style/wallet.css";
import "./style/paying.css";
import "./style/gifts.css";
import "./style/console.css";

async function main(): Promise<void> {
  await claimSessionId();
  startPresence();
  startPublishing();
  const root = document.getElementById("app");
  if (root) render(<App />, root);
}

void main();
