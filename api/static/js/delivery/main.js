// Delivery: the QoS levels side by side as they are now, and how they went over a range.

import { ask } from "../ask.js";
import { run, sentence } from "../page.js";
import { Range } from "../range.js";
import * as history from "./history.js";
import { showBalance, showHeld } from "./balance.js";
import { showSides } from "./sides.js";

const EVERY_MS = 2000;

const range = new Range("1h", () => {
  history.forget();
  poll.now();
});

async function round() {
  const [fleet, delivery] = await Promise.all([ask("/v1/fleet"), ask("/v1/delivery"), showHistory()]);
  showSides(fleet, delivery);
  showBalance(delivery.ingest);
  showHeld(delivery.held);
  return Date.parse(delivery.time);
}

async function showHistory() {
  try {
    await history.askAndShow(range);
  } catch (error) {
    // A range that is refused is said beside it, and may be chosen otherwise.
    if (error.status !== 400) throw error;
    range.complain(sentence(error));
  }
}

const poll = run(round, () => EVERY_MS);
