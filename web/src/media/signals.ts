import { on } from "../socket";
import * as publisher from "./publisher";
import * as viewer from "./viewer";

/** Somebody who watches their own stream is both ends at once: each end knows what is its own. */
on("signal", (message) => {
  const { kind } = message.data;
  if (kind !== "answer") viewer.takeSignal(message);
  if (kind === "answer" || kind === "candidate") publisher.takeSignal(message);
});
