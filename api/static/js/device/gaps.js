// The readings of a device that are missing in the chosen range.

import { ask, devicePath } from "../ask.js";
import { byId, element, keep, show, write } from "../dom.js";
import { count, moment, plural, share } from "../format.js";
import { sentence } from "../page.js";

const EVERY_MS = 5000;
const MOST = 200;
const ROWS = 8;
const PROMISES = [
  "QoS 0 may lose readings on the way.",
  "At QoS 1 a gap closes by itself, unless the device lost readings before it sent them.",
  "At QoS 2 a gap closes by itself, unless the device lost readings before it sent them.",
];

let found = null;
let generation = 0;
let dueAtMs = 0;

export function forget() {
  generation += 1;
  found = null;
  dueAtMs = 0;
}

// When something is missing, as a chart marks it.
export const spans = () => (found?.gaps ?? []).map(({ after, boot, before }) =>
  [Date.parse(after ?? boot), Date.parse(before)]);

export async function askAndShow(name, range, { qos }) {
  if (performance.now() < dueAtMs) return;
  const mine = generation;
  dueAtMs = range.chosen.isMoving ? performance.now() + EVERY_MS : Infinity;
  try {
    const answer = await ask(devicePath(name, "/gaps"), { ...range.parameters(), limit: MOST });
    if (mine !== generation) return;
    found = answer;
    showFound(range, qos);
  } catch (error) {
    // Of a range that holds too many readings the gaps are not counted.
    if (error.status !== 400) throw error;
    if (mine !== generation) return;
    found = null;
    showNothing(sentence(error));
  }
}

function showFound({ chosen }, qos) {
  const { stored, missing, gaps, count: all } = found;
  write(byId("gaps-missing"), stored ? count(missing) : "");
  byId("gaps-missing").className = missing ? "warn" : "good";
  write(byId("gaps-share"), missing ? share(missing, missing + stored) : "");
  const promise = missing && qos !== null ? ` ${PROMISES[qos]}` : "";
  const kept = stored ? `${plural(stored, "reading")} of ${chosen.words} are stored` : `No readings of ${chosen.words} are stored`;
  const told = missing ? `${kept}, ${plural(missing, "is", "are")} missing between them.` : `${kept}${stored ? ", none is missing between them" : ""}.`;
  write(byId("gaps-note"), told + promise);
  show(byId("gaps-table"), gaps.length > 0);
  const shown = gaps.slice(0, ROWS);
  keep(byId("gap-rows"), shown, ({ boot, first }) => `${boot} ${first}`, makeRow, (row, gap) => updateRow(row, gap, chosen));
  show(byId("gaps-more"), all > shown.length);
  write(byId("gaps-more"), `The newest ${shown.length} of ${count(all)} gaps.`);
}

function showNothing(words) {
  write(byId("gaps-missing"), "");
  write(byId("gaps-share"), "");
  write(byId("gaps-note"), words);
  show(byId("gaps-table"), false);
  show(byId("gaps-more"), false);
}

function makeRow() {
  const row = element("tr");
  row.append(element("td"), element("td", "number"), element("td", "number warn"));
  return row;
}

function updateRow(row, { first, last, missing, after, boot, before }, { spanMs }) {
  const [between, numbers, howMany] = row.children;
  const [fromMs, toMs] = [Date.parse(after ?? boot), Date.parse(before)];
  write(between, `${moment(fromMs, spanMs)} and ${moment(toMs, spanMs)}`);
  write(numbers, first === last ? count(first) : `${count(first)} to ${count(last)}`);
  write(howMany, count(missing));
}
