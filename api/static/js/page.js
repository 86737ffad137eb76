// What every page does: it asks in rounds, says how that goes, and wants a key where one is needed.

import { Refused } from "./ask.js";
import { byId, show, write } from "./dom.js";
import { clock } from "./format.js";
import * as key from "./key.js";
import { Poll } from "./poll.js";

let lastAnswerMs = null;
let poll = null;

// `round` returns the time of what it has shown, in ms; `everyMs()` says how soon the next one is.
export function run(round, everyMs) {
  poll = new Poll(async () => {
    try {
      lastAnswerMs = await round();
      key.accepted();
      say("live", `Live · ${clock(lastAnswerMs)}`, "");
    } catch (error) {
      if (isForKey(error)) wantKey(error);
      else complain(error);
    }
  }, everyMs);
  key.listen(() => poll.wake());
  poll.now();
  return poll;
}

// What came without being asked for is as good as an answer.
export function heard(timeMs) {
  if (byId("live").dataset.state !== "live") return;
  lastAnswerMs = timeMs;
  write(byId("live-text"), `Live · ${clock(timeMs)}`);
}

export const isForKey = (error) => error.status === 401 || error.status === 403;

// There is nothing to ask until somebody gives a key.
function wantKey(error) {
  poll.rest();
  key.ask(error.message);
  say("waiting", "Key needed", "");
}

function complain(error) {
  if (!(error instanceof Refused)) console.debug(error);
  const last = lastAnswerMs === null ? "" : ` What you see is from ${clock(lastAnswerMs)}.`;
  say("away", "Not connected", `${sentence(error)}${last} Trying again by itself.`);
}

export function sentence(error) {
  const words = error.message || "The API cannot be reached.";
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

export function say(state, words, banner) {
  byId("live").dataset.state = state;
  write(byId("live-text"), words);
  write(byId("banner"), banner);
  show(byId("banner"), banner !== "");
}
