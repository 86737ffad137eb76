// The tiles of the fleet's state, and the chart of readings per second by QoS level.

import { Chart } from "../chart.js";
import { byId, element, keep, show, write } from "../dom.js";
import { NOTHING, count, duration, durationText, rate, share } from "../format.js";
import { LEVELS } from "../levels.js";

const SHORTEST_WINDOW_MS = 60000;

const chart = new Chart(byId("rates-chart"), {
  label: "Stored readings per second over the last minutes, by QoS level",
  stacked: true,
  valueText: rate,
  emptyText: "No readings yet. They appear as soon as ingest stores the first ones.",
});

export function showFleet(fleet) {
  showStates(fleet);
  write(byId("rate"), rate(fleet.readings_per_second));
  showLevels(byId("rate-levels"), (level) => rate(fleet.by_qos[level].readings_per_second));
  const slowest = LEVELS.map((level) => fleet.by_qos[level].latency_ms.p99);
  const [latency, unit] = duration(most(slowest));
  write(byId("latency"), latency);
  write(byId("latency-unit"), unit);
  showLevels(byId("latency-levels"), (level) => durationText(fleet.by_qos[level].latency_ms.p99));
  showRates(fleet);
}

export function showMissing(delivery) {
  const levels = Object.values(delivery.by_qos);
  const missing = levels.reduce((sum, level) => sum + level.missing, 0);
  const stored = levels.reduce((sum, level) => sum + level.stored, 0);
  write(byId("missing"), stored || missing ? count(missing) : NOTHING);
  write(byId("missing-share"), stored || missing ? share(missing, missing + stored) : "");
  showLevels(byId("missing-levels"), (level) => count(delivery.by_qos[level].missing));
}

// The value of each level, under its name.
function showLevels(list, textOf) {
  const make = (level) => {
    const item = element("li");
    item.append(element("i", `swatch qos${level}`), element("span", "", `QoS ${level}`), element("b"));
    return item;
  };
  keep(list, LEVELS, (level) => level, make, (item, level) =>
    write(item.lastElementChild, textOf(level)));
}

function showStates({ devices, online, offline, unknown, states_current: isCurrent, lag_ms: lag }) {
  const isEmpty = devices === 0;
  write(byId("online"), isEmpty ? NOTHING : count(online));
  write(byId("devices"), isEmpty ? "" : `of ${count(devices)}`);
  byId("meter-online").style.width = isEmpty ? "0" : `${(100 * online) / devices}%`;
  byId("meter-offline").style.width = isEmpty ? "0" : `${(100 * offline) / devices}%`;
  show(byId("meter-offline"), offline > 0);
  const parts = isEmpty ? ["No device has reported yet"] : [];
  if (offline) parts.push(`${count(offline)} offline`);
  if (unknown) parts.push(`${count(unknown)} unknown`);
  if (lag !== null) parts.push(`newest reading ${durationText(lag)} old`);
  if (!isCurrent) parts.push("states as last heard: the broker is away");
  write(byId("states-note"), parts.join(" · "));
}

function showRates({ time, history }) {
  const endMs = Date.parse(time);
  const firstMs = Date.parse(history.start);
  const stepMs = history.step_ms;
  const rates = history.readings_per_second;
  const first = rates[0].findIndex((value) => value !== null);
  const begins = first < 0 ? endMs : firstMs + first * stepMs;
  const windowMs = Math.max(SHORTEST_WINDOW_MS, 12 * stepMs);
  chart.update({
    startMs: Math.max(firstMs, Math.min(begins, endMs - windowMs)),
    endMs,
    // A step's rate stands at its middle.
    series: LEVELS.map((level) => ({
      key: `qos${level}`,
      name: `QoS ${level}`,
      points: rates[level].map((value, index) => [firstMs + (index + 0.5) * stepMs, value]),
    })),
  });
  const last = (level) => rates[level].findLast((value) => value !== null) ?? null;
  showLevels(byId("rates-legend"), (level) => perSecond(last(level)));
}

const perSecond = (value) => (value === null ? NOTHING : `${rate(value)}/s`);

function most(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? Math.max(...known) : null;
}
