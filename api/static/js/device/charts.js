// A chart for each field of a device that holds numbers, and what it last told of each.

import { Chart } from "../chart.js";
import { byId, element, keep, show, write } from "../dom.js";
import { showFacts } from "../facts.js";
import { durationText, number, value } from "../format.js";

const MOST = 6;

const charts = new WeakMap();
let isAll = false;
let drawAgain = () => {};

export function listen() {
  byId("more-charts").addEventListener("click", () => {
    isAll = true;
    drawAgain();
  });
}

// `spans`: when readings are missing, [[fromMs, toMs], …].
export function showReadings(readings, spans) {
  if (!readings.window) return;
  drawAgain = () => showReadings(readings, spans);
  const { drawn, others, isOfSeveral } = readings.fields();
  const [startMs, endMs] = readings.span();
  const shown = isAll ? drawn : drawn.slice(0, MOST);
  show(byId("more-charts"), shown.length < drawn.length);
  write(byId("more-charts"), `Show all ${drawn.length}`);
  keep(byId("field-charts"), shown, ({ key }) => key, makeCard, (card, field) => {
    const last = readings.latest.get(field.measurement)?.values[field.field];
    write(card.querySelector("h3"), isOfSeveral ? `${field.measurement} ${field.field}` : field.field);
    write(card.querySelector(".value"), typeof last === "number" ? number(last) : "–");
    write(card.querySelector(".unit"), field.unit);
    const series = [{ key: "field", name: field.field, points: readings.points(field) }];
    charts.get(card).update({ startMs, endMs, series, spans });
  });
  write(byId("readings-note"), note(readings, drawn, spans));
  showOthers(others);
}

// Nothing is shown of a range that was refused.
export function clear() {
  drawAgain = () => {};
  byId("field-charts").replaceChildren();
  write(byId("readings-note"), "");
  show(byId("more-charts"), false);
}

function note({ range, everyMs, rows }, drawn, spans) {
  if (drawn.length === 0) return `No numbers in ${range.chosen.words}`;
  const count = [...rows.values()].reduce((sum, row) => sum + row.size, 0);
  if (count === 0) return `No readings in ${range.chosen.words}`;
  const missing = spans.length ? " · tinted: readings are missing" : "";
  if (everyMs === null) return `Each reading of ${range.chosen.words}${missing}`;
  return `Mean of each ${durationText(everyMs)}, tinted from least to most${missing}`;
}

function makeCard({ field }) {
  const card = element("article", "card field-chart");
  const head = element("div", "field-head");
  const now = element("p", "figure figure-small");
  now.append(element("span", "value"), element("small", "unit"));
  head.append(element("h3"), now);
  const host = element("div", "chart chart-field");
  card.append(head, host);
  charts.set(card, new Chart(host, {
    label: `${field} over the chosen range`,
    emptyText: "No readings in this range",
  }));
  return card;
}

function showOthers(others) {
  show(byId("texts"), others.length > 0);
  showFacts(byId("text-facts"), others.map(({ measurement, field, given }) =>
    [`${measurement} ${field}`, value(given)]));
}
