// The lines in the list of devices: one question at a time, for the devices near the screen only.

import { ask, devicePath } from "../ask.js";
import { byId, write } from "../dom.js";
import { number } from "../format.js";
import { drawSparkline } from "../sparkline.js";

const SPAN_MS = 600000;
const POINTS = 40;
const KEPT_MS = 15000;
const PAUSE_MS = 150;
const IDLE_MS = 500;

const seen = new Set();
const drawnAtMs = new WeakMap();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) seen.add(target);
    else seen.delete(target);
  }
}, { rootMargin: "50%" });
const watched = new WeakSet();

let isRunning = false;

export async function start() {
  watchNewRows();
  if (isRunning) return;
  isRunning = true;
  for (;;) {
    watchNewRows();
    const row = document.hidden ? undefined : longestWaiting();
    if (row) await draw(row);
    await new Promise((resolve) => setTimeout(resolve, row ? PAUSE_MS : IDLE_MS));
  }
}

function watchNewRows() {
  for (const row of byId("device-rows").children) {
    if (watched.has(row)) continue;
    watched.add(row);
    watcher.observe(row);
  }
}

function longestWaiting() {
  const now = performance.now();
  const age = (row) => now - (drawnAtMs.get(row) ?? -Infinity);
  const due = [...seen].filter((row) => row.isConnected && age(row) >= KEPT_MS);
  for (const row of seen) if (!row.isConnected) seen.delete(row);
  return due.sort((one, other) => age(other) - age(one))[0];
}

async function draw(row) {
  drawnAtMs.set(row, performance.now());
  try {
    const answer = await ask(devicePath(row.dataset.key, "/readings"), {
      start: `-${SPAN_MS / 1000}s`,
      points: POINTS,
    });
    show(row, answer);
  } catch {
    // The page's own questions say what is wrong; an old line is better than none.
  }
}

function show(row, { start, stop, every_ms: everyMs, readings }) {
  const first = readings.find(({ values }) => numeric(values) !== undefined);
  if (!first) return;
  const { measurement } = first;
  const field = numeric(first.values);
  const startMs = Date.parse(start);
  const points = [];
  for (const { time, measurement: of, values } of readings) {
    if (of !== measurement || typeof values[field] !== "number") continue;
    const ms = Date.parse(time) + everyMs / 2;
    if (points.length && ms - points.at(-1)[0] > 1.5 * everyMs) points.push([ms - everyMs, null]);
    points.push([ms, values[field]]);
  }
  const last = points.at(-1)[1];
  const words = `${field} over the last 10 minutes, lately ${number(last)}`;
  const line = row.querySelector(".spark");
  drawSparkline(line, { startMs, endMs: Date.parse(stop), points, words });
  row.querySelector(".trend-line").title = words;
  write(row.querySelector(".trend-value"), `${field} ${Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(last)}`);
}

const numeric = (values) => Object.keys(values).find((field) => typeof values[field] === "number");
