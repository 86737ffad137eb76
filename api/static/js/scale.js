// Scales of a chart: round steps for values, and for time those that a clock has.

const TIME_STEPS_S = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600],
];

// What a chart leaves free around its data, in pixels.
export const RIGHT = 12;
export const TOP = 10;
export const BOTTOM = 24;

// About `wanted` ticks over [least, most], at round values; their range covers the data.
export function valueTicks(least, most, wanted) {
  const span = most - least || Math.abs(most) || 1;
  const raw = span / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= raw);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(most / step - 1e-9));
  const ticks = [];
  for (let index = first; index <= last; index++) ticks.push(index * step);
  return ticks;
}

// Ticks at whole steps of the reader's own clock, at most `most` of them.
export function timeTicks(startMs, endMs, most) {
  const seconds = (endMs - startMs) / 1000;
  const step = 1000 * (TIME_STEPS_S.find((each) => seconds / each <= most) ?? Math.ceil(seconds / most / 86400) * 86400);
  const zone = new Date(endMs).getTimezoneOffset() * 60000;
  const ticks = [];
  for (let at = Math.ceil((startMs - zone) / step) * step + zone; at <= endMs; at += step) {
    ticks.push(at);
  }
  return { ticks, step };
}

export const linear = (from, to, low, high) => (value) =>
  low + ((value - from) / (to - from || 1)) * (high - low);
