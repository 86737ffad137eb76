// A device's readings over the chosen range: as they are where they are few, else in intervals.

import { ask, devicePath } from "../ask.js";
import { unit } from "../format.js";

const MOST_RAW = 1000;
const INTERVALS = 300;
const RECONCILE_MS = 60000;
const SOONEST_MS = 5000;
const SHORTEST_WINDOW_MS = 60000;
// An interval of a device's readings that is so much longer than usual is a hole.
const HOLE = 4;
const SHORTEST_HOLE_MS = 2000;
const AGGREGATES = ["mean", "min", "max"];

export class Readings {
  constructor(device, range) {
    this.device = device;
    this.range = range;
    this.latest = new Map(); // measurement → reading
    this.units = new Map(); // measurement, field → unit
    this.offsetMs = 0; // the API's clock minus ours
    this.forget();
  }

  // Begins anew, for another range.
  forget() {
    this.generation = (this.generation ?? 0) + 1;
    this.everyMs = null; // of intervals; null of readings as they are
    this.rows = new Map(); // measurement → Map of ms → values or {field: [mean, min, max]}
    this.window = null;
    this.dueAtMs = 0;
  }

  async ask(device, isLive) {
    const generation = this.generation;
    const [latest] = await Promise.all([
      isLive && this.latest.size ? null : ask(devicePath(this.device, "/latest")),
      this.units.size ? null : this.askUnits(device),
      performance.now() >= this.dueAtMs ? this.askRange(device, generation, isLive) : null,
    ]);
    latest?.readings.forEach((reading) => this.latest.set(reading.measurement, reading));
  }

  // Units are a help, not a need: a key for this device alone is told of none.
  async askUnits({ site }) {
    const found = await ask("/v1/measurements", { site, limit: 500 }).catch(() => ({ measurements: [] }));
    this.units.set("", "");
    for (const { measurement, fields } of found.measurements) {
      for (const field of fields) this.units.set(`${measurement} ${field.name}`, unit(field.unit));
    }
  }

  async askRange(device, generation, isLive) {
    this.dueAtMs = Infinity;
    try {
      const expected = (device.rate * this.range.chosen.spanMs) / 1000;
      const isFew = this.range.chosen.isMoving && expected > 0 && expected <= MOST_RAW;
      const isRaw = isFew && (await this.askRaw(generation));
      if (!isRaw) await this.askIntervals(generation);
      if (generation === this.generation) this.dueAtMs = performance.now() + this.pauseMs(isLive);
    } catch (error) {
      // What is refused once is refused again.
      if (generation === this.generation) this.dueAtMs = error.status === 400 ? Infinity : 0;
      throw error;
    }
  }

  pauseMs(isLive) {
    if (!this.range.chosen.isMoving) return Infinity;
    if (this.everyMs === null) return isLive ? RECONCILE_MS : 0;
    return Math.min(RECONCILE_MS, Math.max(SOONEST_MS, this.everyMs));
  }

  // Whether the range has few enough readings to show each.
  async askRaw(generation) {
    const answer = await this.askFor({ limit: MOST_RAW });
    if (answer.truncated) return false;
    if (generation !== this.generation) return true;
    this.begin(answer);
    for (const { time, measurement, values } of answer.readings) {
      this.row(measurement).set(Date.parse(time), values);
    }
    return true;
  }

  async askIntervals(generation) {
    const answers = await Promise.all(AGGREGATES.map((aggregate) =>
      this.askFor({ points: INTERVALS, aggregate, limit: 5000 })));
    if (generation !== this.generation) return;
    this.begin(answers[0]);
    answers.forEach(({ readings }, place) => {
      for (const { time, measurement, values } of readings) {
        const ms = Date.parse(time) + this.everyMs / 2;
        const row = this.row(measurement);
        if (!row.has(ms)) row.set(ms, {});
        for (const [field, given] of Object.entries(values)) {
          if (typeof given === "number") (row.get(ms)[field] ??= [])[place] = given;
        }
      }
    });
  }

  askFor(more) {
    return ask(devicePath(this.device, "/readings"), { ...this.range.parameters(), ...more });
  }

  begin({ start, stop, every_ms: everyMs }) {
    this.everyMs = everyMs;
    this.rows = new Map();
    this.window = [Date.parse(start), Date.parse(stop)];
    if (this.range.chosen.isMoving) this.offsetMs = this.window[1] - Date.now();
  }

  row(measurement) {
    if (!this.rows.has(measurement)) this.rows.set(measurement, new Map());
    return this.rows.get(measurement);
  }

  // Takes a reading that was heard just now; whether that changes what is shown.
  hear(reading) {
    const known = this.latest.get(reading.measurement);
    if (!known || known.time <= reading.time) this.latest.set(reading.measurement, reading);
    const isDrawn = this.window && this.everyMs === null && this.range.chosen.isMoving;
    if (isDrawn) this.row(reading.measurement).set(Date.parse(reading.time), reading.values);
    return this.window !== null;
  }

  // The range of the charts. One that ends now moves on, and begins where there is something.
  span() {
    if (!this.range.chosen.isMoving) return this.window;
    const endMs = Date.now() + this.offsetMs;
    const startMs = endMs - this.range.chosen.spanMs;
    if (this.everyMs !== null) return [startMs, endMs];
    let firstMs = endMs;
    for (const row of this.rows.values()) {
      for (const ms of row.keys()) {
        if (ms < startMs) row.delete(ms);
        else firstMs = Math.min(firstMs, ms);
      }
    }
    return [Math.max(startMs, Math.min(firstMs, endMs - SHORTEST_WINDOW_MS)), endMs];
  }

  // The fields with numbers, and the others, as they were last told.
  fields() {
    const names = new Map();
    for (const [measurement, row] of this.rows) {
      for (const values of row.values()) {
        for (const [field, given] of Object.entries(values)) {
          if (typeof given !== "boolean" && typeof given !== "string") this.name(names, measurement, field);
        }
      }
    }
    const others = [];
    for (const { measurement, values } of this.latest.values()) {
      for (const [field, given] of Object.entries(values)) {
        if (typeof given === "number") this.name(names, measurement, field);
        else if (!names.has(`${measurement} ${field}`)) others.push({ measurement, field, given });
      }
    }
    const drawn = [...names].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, field]) => field);
    return { drawn, others, isOfSeveral: new Set(drawn.map(({ measurement }) => measurement)).size > 1 };
  }

  name(names, measurement, field) {
    const key = `${measurement} ${field}`;
    if (!names.has(key)) names.set(key, { key, measurement, field, unit: this.units.get(key) ?? "" });
  }

  // [[ms, value or null, least?, most?], …] in order of time; null stands where there is a hole.
  points({ measurement, field }) {
    const found = [];
    for (const [ms, values] of this.rows.get(measurement) ?? []) {
      const given = values[field];
      if (typeof given === "number") found.push([ms, given]);
      else if (Array.isArray(given)) found.push([ms, ...given]);
    }
    found.sort(([one], [other]) => one - other);
    return withHoles(found, this.everyMs);
  }
}

function withHoles(points, everyMs) {
  const steps = points.slice(1).map(([ms], index) => ms - points[index][0]);
  const usualMs = steps.toSorted((one, other) => one - other)[Math.floor(steps.length / 2)];
  const longestMs = everyMs === null ? Math.max(SHORTEST_HOLE_MS, HOLE * usualMs) : 1.5 * Math.max(everyMs, usualMs);
  return points.flatMap((point, index) =>
    (index > 0 && steps[index - 1] > longestMs ? [[point[0] - 1, null], point] : [point]));
}
