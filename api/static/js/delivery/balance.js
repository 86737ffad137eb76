// What ingest did with the readings that it received: both sides are always equal.

import { byId, element, keep, write } from "../dom.js";
import { NOTHING, count, plural } from "../format.js";

const PARTS = [
  ["received", "Received", ""],
  ["taken_over", "Taken over", "+"],
  ["written", "Written", "="],
  ["quarantined", "Quarantined", "+"],
  ["spooled", "Spooled", "+"],
  ["in_flight", "In flight", "+"],
  ["dropped", "Dropped", "+"],
];

export function showBalance(ingest) {
  const { replicas, repeated } = ingest;
  write(byId("balance-note"), replicas
    ? `${plural(replicas, "replica")}, in readings since the last start of each; ${count(repeated)} came repeatedly`
    : "No ingest has reported yet");
  keep(byId("ingest-balance"), PARTS, ([name]) => name, makePart, (part, [name]) =>
    write(part.lastElementChild, replicas ? count(ingest[name]) : NOTHING));
}

function makePart([, label, sign]) {
  const part = element("div");
  part.dataset.sign = sign;
  part.append(element("dt", "", label), element("dd"));
  return part;
}
