// The delivery report: the levels side by side, and what ingest did with what it received.

import { byId, element, keep, write } from "./dom.js";
import { count, durationText } from "./format.js";

const LEVELS = {
  0: ["QoS 0", "at most once"],
  1: ["QoS 1", "at least once, stored once"],
  2: ["QoS 2", "exactly once to the broker, stored once"],
  unknown: ["Unknown", "devices that told no level"],
};
const COLUMNS = ["Offered", "Acknowledged", "Stored", "Missing", "p50", "p95", "p99"];
const BALANCE = [
  ["received", "Received", ""],
  ["taken_over", "Taken over", "+"],
  ["written", "Written", "="],
  ["quarantined", "Quarantined", "+"],
  ["spooled", "Spooled", "+"],
  ["in_flight", "In flight", "+"],
  ["dropped", "Dropped", "+"],
];

export function showDelivery({ by_qos: levels, ingest }) {
  const shown = Object.entries(levels).filter(([level, { stored, devices }]) =>
    level !== "unknown" || stored > 0 || devices > 0);
  keep(byId("delivery-rows"), shown, ([level]) => level, makeRow, updateRow);
  keep(byId("ingest-balance"), BALANCE, ([name]) => name, makePart, (part, [name]) => {
    write(part.lastElementChild, ingest.replicas ? count(ingest[name]) : "–");
  });
}

function makeRow([level]) {
  const row = element("tr");
  const head = element("th", "level");
  head.scope = "row";
  const [name, promise] = LEVELS[level];
  const title = element("span", "level-name");
  title.append(element("i", `swatch qos${level}`), name);
  head.append(title, element("small", "", promise));
  row.append(head);
  for (const column of COLUMNS) {
    const cell = element("td", "number");
    cell.dataset.label = column;
    row.append(cell);
  }
  return row;
}

function updateRow(row, [level, figures]) {
  const { p50, p95, p99 } = figures.latency_ms;
  const acknowledged = level === "0" ? "not asked" : count(figures.acknowledged);
  const texts = [
    count(figures.offered),
    acknowledged,
    count(figures.stored),
    count(figures.missing),
    ...[p50, p95, p99].map(durationText),
  ];
  texts.forEach((text, index) => write(row.children[index + 1], text));
  row.children[2].classList.toggle("faint", level === "0");
  // A gap is what QoS 0 allows; at the other levels it should close by itself within moments.
  row.children[4].classList.toggle("warn", figures.missing > 0);
  row.children[4].classList.toggle("good", figures.missing === 0 && figures.stored > 0);
}

function makePart([, label, sign]) {
  const part = element("div");
  part.dataset.sign = sign;
  part.append(element("dt", "", label), element("dd"));
  return part;
}
