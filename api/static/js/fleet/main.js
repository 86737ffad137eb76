// The fleet: how it is now, asked every second, and its devices.

import { ask } from "../ask.js";
import { Stream } from "../stream.js";
import { run } from "../page.js";
import * as devices from "./devices.js";
import * as sparks from "./sparks.js";
import { showFleet, showMissing } from "./tiles.js";

const EVERY_MS = 1000;
const SOON_MS = 300;
// Counting over all that is stored, and sites, change slowly.
const SELDOM_MS = 5000;

let seldomAfterMs = 0;
let listAfterMs = 0;

async function round() {
  const now = performance.now();
  const isSeldom = now >= seldomAfterMs;
  const [fleet, delivery, sites] = await Promise.all([
    ask("/v1/fleet"),
    isSeldom ? ask("/v1/delivery") : null,
    isSeldom ? ask("/v1/sites", { limit: devices.MOST_SITES }) : null,
    showList(now),
  ]);
  showFleet(fleet);
  if (isSeldom) {
    showMissing(delivery);
    devices.showSites(sites);
    seldomAfterMs = now + SELDOM_MS;
  }
  stream.start();
  sparks.start();
  return Date.parse(fleet.time);
}

async function showList(now) {
  if (now < listAfterMs) return;
  const found = await devices.askDevices();
  if (found === null) return;
  devices.showDevices(found);
  listAfterMs = now + 2 * EVERY_MS;
}

function askListNow() {
  listAfterMs = 0;
  poll.now();
}

let soon = null;

// Where many come or go together the list is asked for once.
function askListSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    askListNow();
  }, SOON_MS);
}

// A device that comes or goes is shown at once.
const stream = new Stream({ kinds: "status" }, {
  onEvent: (kind) => kind === "status" && askListSoon(),
  onLive: () => {},
});

devices.listen(askListNow);
const poll = run(round, () => EVERY_MS);
