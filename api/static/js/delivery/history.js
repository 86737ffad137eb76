// How delivery went over a range, from the figures that ingest and the API put into the store.

import { ask } from "../ask.js";
import { Chart } from "../chart.js";
import { byId, element, write } from "../dom.js";
import { durationText, number, rate } from "../format.js";
import { LEVELS } from "../levels.js";
import { rates } from "./counters.js";

const INTERVALS = 180;
const MOST = 10000;
const SOONEST_MS = 5000;
const LATEST_MS = 60000;
const SHORTEST_WINDOW_MS = 60000;
const HOLE = 3;
const LONGEST_PAUSE_MS = 90000;

const written = (level) => `written_readings_qos${level}`;
const slow = (level) => `latency_ms_qos${level}_p99`;
const missing = (level) => `missing_readings_qos${level}`;

const charts = {
  rates: made("Stored per second", "What the store confirmed", { stacked: true, valueText: rate }),
  latency: made("Latency p99, in ms", "From a reading's own time to the store's confirmation, the slowest ingest", {
    fromZero: true,
    valueText: durationText,
  }),
  missing: made("Missing readings", "Gaps in all that is stored, counted about once a minute", {
    fromZero: true,
    topAtLeast: 4,
    valueText: number,
  }),
};

let generation = 0;
let dueAtMs = 0;

export function forget() {
  generation += 1;
  dueAtMs = 0;
}

export async function askAndShow(range) {
  if (performance.now() < dueAtMs) return;
  const mine = generation;
  dueAtMs = Infinity;
  try {
    const [counts, latencies, gaps] = await Promise.all([
      askFor(range, "denyut_ingest", LEVELS.map(written), "last"),
      askFor(range, "denyut_ingest", LEVELS.map(slow), "max"),
      askFor(range, "denyut_api", LEVELS.map(missing), "max"),
    ]);
    if (mine !== generation) return;
    const isMoving = range.chosen.isMoving;
    dueAtMs = isMoving ? performance.now() + Math.min(LATEST_MS, Math.max(SOONEST_MS, counts.every_ms)) : Infinity;
    write(byId("history-note"), `From the services' own figures of ${range.chosen.words}, in steps of ${durationText(counts.every_ms)}`);
    showAll(counts, latencies, gaps, isMoving);
  } catch (error) {
    if (mine === generation) dueAtMs = error.status === 400 ? Infinity : 0;
    throw error;
  }
}

function askFor(range, measurement, fields, aggregate) {
  return ask("/v1/readings", {
    ...range.parameters(),
    site: "denyut",
    measurement,
    fields: fields.join(),
    points: INTERVALS,
    aggregate,
    limit: MOST,
  });
}

function showAll(counts, latencies, gaps, isMoving) {
  const window = { startMs: Date.parse(counts.start), stopMs: Date.parse(counts.stop), everyMs: counts.every_ms };
  const rising = rates(counts.readings, LEVELS.map(written), window);
  const series = {
    rates: LEVELS.map((level) => line(level, rising.get(written(level)))),
    latency: LEVELS.map((level) => line(level, greatest(latencies, slow(level)))),
    missing: LEVELS.map((level) => line(level, greatest(gaps, missing(level)))),
  };
  const startMs = isMoving ? begin(Object.values(series).flat(), window) : window.startMs;
  for (const [name, chart] of Object.entries(charts)) {
    chart.update({ startMs, endMs: window.stopMs, series: series[name] });
  }
}

const line = (level, points) => ({ key: `qos${level}`, name: `QoS ${level}`, points });

// What began within the range is shown from its beginning on.
function begin(series, { startMs, stopMs, everyMs }) {
  const first = series.flatMap(({ points }) => points.filter(([, value]) => value !== null).slice(0, 1));
  const firstMs = first.reduce((least, [ms]) => Math.min(least, ms), stopMs);
  const shortestMs = Math.max(SHORTEST_WINDOW_MS, 12 * everyMs);
  return Math.max(startMs, Math.min(firstMs - everyMs / 2, stopMs - shortestMs));
}

// The greatest value of each interval, over all processes.
function greatest({ readings, every_ms: everyMs }, field) {
  const found = new Map();
  for (const { time, values } of readings) {
    const ms = Date.parse(time) + everyMs / 2;
    if (typeof values[field] === "number") found.set(ms, Math.max(found.get(ms) ?? -Infinity, values[field]));
  }
  const points = [...found].sort(([one], [other]) => one - other);
  const longestMs = Math.max(LONGEST_PAUSE_MS, HOLE * everyMs);
  return points.flatMap((point, index) =>
    (index > 0 && point[0] - points[index - 1][0] > longestMs ? [[point[0] - 1, null], point] : [point]));
}

function made(title, note, options) {
  const card = element("article", "card field-chart");
  const head = element("div", "field-head");
  const words = element("div");
  words.append(element("h3", "", title), element("p", "note", note));
  const legend = element("ul", "legend");
  legend.setAttribute("aria-hidden", "true");
  for (const level of LEVELS) {
    const item = element("li");
    item.append(element("i", `swatch qos${level}`), `QoS ${level}`);
    legend.append(item);
  }
  head.append(words, legend);
  const host = element("div", "chart");
  card.append(head, host);
  byId("history-charts").append(card);
  return new Chart(host, { label: `${title} by QoS level`, emptyText: "Nothing was reported in this range", ...options });
}
