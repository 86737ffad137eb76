// One device: its latest values, and a chart of the field that is chosen.

import { ask, devicePath } from "./ask.js";
import { Chart } from "./chart.js";
import { byId, element, keep, write } from "./dom.js";
import { ago, value } from "./format.js";

const WINDOW_MS = 600000;
const SHORTEST_WINDOW_MS = 60000;
const MOST_POINTS = 1000;

const chart = new Chart(byId("device-chart"), {
  label: "The chosen field over the last minutes",
  emptyText: "No readings in the last ten minutes",
});

let chosen = null; // {device, measurement, field}

export const chosenDevice = () => chosen?.device ?? null;

export function choose(device) {
  if ((device ?? null) === chosenDevice()) return;
  chosen = device ? { device, measurement: null, field: null } : null;
  byId("device-fields").replaceChildren();
}

export function listen(onChange) {
  byId("device-fields").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.disabled) return;
    [chosen.measurement, chosen.field] = JSON.parse(button.dataset.key);
    onChange();
  });
}

// What the device told last, and the points of the chosen field; null where none is chosen.
export async function askDevice() {
  if (!chosen) return null;
  const asked = { ...chosen };
  const [device, latest] = await Promise.all([
    ask(devicePath(asked.device)),
    ask(devicePath(asked.device, "/latest")),
  ]);
  chooseField(asked, latest.readings);
  if (asked.field === null) return { asked, device, latest, range: null };
  const range = await ask(devicePath(asked.device, "/readings"), {
    measurement: asked.measurement,
    fields: asked.field,
    start: `-${WINDOW_MS / 1000}s`,
    order: "desc",
    limit: MOST_POINTS,
  });
  return { asked, device, latest, range };
}

export function showDevice(found) {
  // An answer for a device that is no longer the chosen one comes too late.
  if (!found || found.asked.device !== chosenDevice()) return;
  const { asked, device, latest, range } = found;
  if (chosen.field === null) chosen = asked;
  write(byId("device-name"), device.device);
  const parts = [device.site, device.state, device.profile, `last reading ${ago(device.lag_ms)}`];
  if (device.qos !== null) parts.splice(2, 0, `QoS ${device.qos}`);
  write(byId("device-note"), parts.filter(Boolean).join(" · "));
  showFields(latest.readings);
  if (range && asked.field === chosen.field) showRange(asked, latest.readings, range);
}

function chooseField(asked, readings) {
  for (const { measurement, values } of readings) {
    for (const [field, given] of Object.entries(values)) {
      if (asked.field === null && typeof given === "number") {
        asked.measurement = measurement;
        asked.field = field;
      }
    }
  }
}

function showFields(readings) {
  const fields = readings.flatMap(({ measurement, values }) =>
    Object.entries(values).map(([field, given]) => ({
      key: JSON.stringify([measurement, field]),
      name: readings.length > 1 ? `${measurement} ${field}` : field,
      given,
      isChosen: measurement === chosen.measurement && field === chosen.field,
    })));
  keep(byId("device-fields"), fields, ({ key }) => key, makeField, (button, field) => {
    write(button.firstElementChild, field.name);
    write(button.lastElementChild, value(field.given));
    button.setAttribute("aria-pressed", String(field.isChosen));
    button.disabled = typeof field.given !== "number";
  });
}

function makeField() {
  const button = element("button", "field");
  button.type = "button";
  button.append(element("span"), element("b"));
  return button;
}

function showRange({ measurement, field }, latest, { stop, readings }) {
  const endMs = Date.parse(stop);
  const points = readings
    .toReversed()
    .map(({ time, values }) => [Date.parse(time), values[field]])
    .filter(([, given]) => typeof given === "number");
  const begins = points.length ? points[0][0] : endMs;
  const startMs = Math.max(endMs - WINDOW_MS, Math.min(begins, endMs - SHORTEST_WINDOW_MS));
  const last = latest.find((reading) => reading.measurement === measurement)?.values[field];
  write(byId("device-value"), last === undefined ? "" : value(last));
  write(byId("device-field"), field);
  chart.update({ startMs, endMs, series: [{ key: "field", name: field, points }] });
}
