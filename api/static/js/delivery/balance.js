// What ingest did with the readings that it received (both sides are always equal), and what is held.

import { byId, element, keep, write } from "../dom.js";
import { NOTHING, bytes, count, plural } from "../format.js";
import { showFacts } from "../facts.js";

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

// Of what waits outside the store: how much, and of how much at most.
export function showHeld(held) {
  const of = (most) => (most ? ` of ${bytes(most)}` : "");
  showFacts(byId("held"), [
    ["Spool", held.spool_bytes, bytes(held.spool_bytes) + of(held.spool_budget_bytes)],
    ["Quarantine", held.quarantine_bytes, bytes(held.quarantine_bytes) + of(held.quarantine_budget_bytes)],
    ["Held by the broker", held.broker_messages, plural(held.broker_messages, "message")],
  ].flatMap(([name, known, words]) => (known === null ? [] : [[name, words]])));
}

function makePart([, label, sign]) {
  const part = element("div");
  part.dataset.sign = sign;
  part.append(element("dt", "", label), element("dd"));
  return part;
}
