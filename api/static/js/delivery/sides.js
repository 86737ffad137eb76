// The levels side by side: a column for each.

import { byId, element, keep, write } from "../dom.js";
import { count, durationText, rate, share } from "../format.js";
import { LEVELS, PROMISES } from "../levels.js";

const ROWS = [
  ["Devices online", (now, { devices }) => (now ? `${count(now.online)} of ${count(devices)}` : count(devices))],
  ["Stored per second", (now) => rate(now?.readings_per_second)],
  ["Offered", (_now, { offered }) => count(offered)],
  ["Acknowledged", (_now, { acknowledged }, level) => (level === "0" ? "not asked" : count(acknowledged))],
  ["Stored", (_now, { stored }) => count(stored)],
  ["Missing", (_now, { missing }) => count(missing)],
  ["Missing share", (_now, { missing, stored }) => (missing + stored ? share(missing, missing + stored) : "–")],
  ["Latency p50", (_now, { latency_ms: latency }) => durationText(latency.p50)],
  ["Latency p95", (_now, { latency_ms: latency }) => durationText(latency.p95)],
  ["Latency p99", (_now, { latency_ms: latency }) => durationText(latency.p99)],
];
const JUDGED = new Set(["Missing", "Missing share"]);

export function showSides({ by_qos: now }, { by_qos: levels }) {
  const shown = [...LEVELS, "unknown"].filter((level) =>
    level !== "unknown" || levels[level]?.stored > 0 || levels[level]?.devices > 0);
  showHead(shown);
  keep(byId("sides-rows"), ROWS, ([name]) => name, makeRow, (row, [name, textOf]) => {
    keep(row, [null, ...shown], (level) => level ?? "name", (level) => makeCell(level, name), (cell, level) => {
      if (level === null) return;
      const { missing, stored } = levels[level];
      write(cell, textOf(now[level], levels[level], level));
      cell.classList.toggle("faint", cell.textContent === "not asked");
      // A gap is what QoS 0 allows; at the other levels it should close by itself within moments.
      cell.classList.toggle("warn", JUDGED.has(name) && missing > 0);
      cell.classList.toggle("good", JUDGED.has(name) && missing === 0 && stored > 0);
    });
  });
}

function showHead(shown) {
  const make = (level) => {
    if (level === null) return element("td");
    const head = element("th", "side");
    head.scope = "col";
    const [name, promise] = PROMISES[level];
    const title = element("span", "level-name");
    title.append(element("i", `swatch qos${level}`), name);
    head.append(title, element("small", "", promise));
    return head;
  };
  keep(byId("sides-head"), [null, ...shown], (level) => level ?? "name", make, () => {});
}

function makeRow() {
  return element("tr");
}

function makeCell(level, name) {
  if (level !== null) return element("td", "number");
  const head = element("th", "", name);
  head.scope = "row";
  return head;
}
