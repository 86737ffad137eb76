// A chart over time, drawn as SVG: lines with their bands, or areas that stand on one another.

import { Cursor } from "./cursor.js";
import { element, keep, set, shape, show, write } from "./dom.js";
import { axis, clock, day, number } from "./format.js";
import { BOTTOM, RIGHT, TOP, linear, timeTicks, valueTicks } from "./scale.js";

const NARROWEST_LEFT = 44;
const DIGIT_WIDTH = 7.5;
const DAY_MS = 86400000;
const NARROWEST_SPAN = 3;
const TICK_WIDTH = 72;
const TICK_HEIGHT = 46;

export class Chart {
  // `label` names the chart for those who cannot see it; arrow keys move the cursor.
  constructor(host, { label, stacked = false, fromZero = stacked, topAtLeast = 0, emptyText, valueText = number }) {
    this.host = host;
    this.label = label;
    this.stacked = stacked;
    this.fromZero = fromZero;
    this.topAtLeast = topAtLeast;
    this.emptyText = emptyText;
    this.valueText = valueText;
    this.layers = [];
    this.svg = shape("svg", { role: "img", tabindex: "0", "aria-label": label });
    this.grid = shape("g", { class: "grid" });
    this.spans = shape("g", { class: "spans" });
    this.areas = shape("g");
    this.lines = shape("g");
    this.svg.append(this.grid, this.spans, this.areas, this.lines);
    this.empty = element("p", "chart-empty");
    host.append(this.svg, this.empty);
    this.cursor = new Cursor(this);
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // `series`: [{key, name, points: [[ms, value or null, low?, high?], …]}], all with the same times
  // if stacked; `spans`: [[fromMs, toMs], …], of which something is missing.
  update(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    const { width, height } = this.host.getBoundingClientRect();
    if (!this.data || width === 0) return;
    const { startMs, endMs, series } = this.data;
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    const hasData = series.some(({ points }) => points.some(([, value]) => value !== null));
    show(this.empty, !hasData);
    write(this.empty, this.data.emptyText ?? this.emptyText);
    this.layers = hasData ? this.layered(series) : [];
    const wanted = Math.max(2, Math.floor((height - TOP - BOTTOM) / TICK_HEIGHT));
    const ticks = hasData ? valueTicks(...this.extent(), wanted) : [];
    const labels = hasData ? axis(ticks) : [];
    const longest = Math.max(0, ...labels.map((label) => label.length));
    this.left = Math.max(NARROWEST_LEFT, 14 + longest * DIGIT_WIDTH);
    this.x = linear(startMs, endMs, this.left, width - RIGHT);
    this.y = linear(ticks[0] ?? 0, ticks.at(-1) ?? 1, height - BOTTOM, TOP);
    this.drawGrid(ticks, labels, width, height);
    this.drawSpans(width, height);
    this.drawLayers();
    this.cursor.draw();
  }

  // Each layer's points as [ms, low, high, value, least, most]; of plain lines low is null.
  layered(series) {
    const floor = new Map();
    return series.map(({ key, name, points }) => ({
      key,
      name,
      points: points.map(([ms, value, least = null, most = null]) => {
        if (!this.stacked || value === null) return [ms, least, value, value, least, most];
        const low = floor.get(ms) ?? 0;
        floor.set(ms, low + value);
        return [ms, low, low + value, value, null, null];
      }),
    }));
  }

  extent() {
    const { startMs, endMs } = this.data;
    const inside = this.layers
      .flatMap(({ points }) => points)
      .filter(([ms, , high]) => high !== null && ms >= startMs && ms <= endMs);
    const values = inside.flatMap(([, , high, , least, most]) => [high, least ?? high, most ?? high]);
    const most = values.reduce((one, other) => Math.max(one, other), -Infinity);
    if (this.fromZero) return [0, Math.max(most, this.topAtLeast) || 1];
    const least = values.reduce((one, other) => Math.min(one, other), Infinity);
    if (!Number.isFinite(least)) return [0, 1];
    const slack = (most - least) * 0.08 || Math.abs(most) * 0.02 || 1;
    return [least - slack, most + slack];
  }

  drawGrid(ticks, labels, width, height) {
    const { startMs, endMs } = this.data;
    const times = timeTicks(startMs, endMs, Math.max(2, Math.floor(width / TICK_WIDTH)));
    const marks = [
      ...ticks.map((value, index) => ({ key: `v${value}`, at: this.y(value), text: labels[index] })),
      ...times.ticks.map((ms) => ({ key: `t${ms}`, ms, text: timeLabel(ms, times.step) })),
    ];
    keep(this.grid, marks, (mark) => mark.key, makeMark, (group, mark) => {
      const [line, text] = group.children;
      if (mark.ms === undefined) {
        set(line, { x1: this.left, x2: width - RIGHT, y1: mark.at, y2: mark.at });
        set(text, { x: this.left - 8, y: mark.at + 4, "text-anchor": "end" });
      } else {
        const x = this.x(mark.ms);
        set(line, { x1: x, x2: x, y1: height - BOTTOM, y2: height - BOTTOM + 4 });
        const half = times.step < 60000 ? 32 : 20;
        const isInside = x > this.left && x < width - half;
        set(text, { x, y: height - 6, "text-anchor": "middle", opacity: isInside ? 1 : 0 });
      }
      write(text, mark.text);
    });
  }

  drawSpans(width, height) {
    const shown = (this.data.spans ?? []).filter(([from, to]) => to > this.data.startMs && from < this.data.endMs);
    keep(this.spans, shown, ([from]) => from, () => shape("rect"), (rect, [from, to]) => {
      const x = Math.max(this.left, this.x(from));
      const end = Math.min(width - RIGHT, this.x(to));
      set(rect, { x, y: TOP, width: Math.max(NARROWEST_SPAN, end - x), height: height - TOP - BOTTOM });
    });
  }

  drawLayers() {
    const made = (className) => ({ key }) => shape("path", { class: `${className} ${key}` });
    const filled = this.layers.filter(({ points }) => points.some(([, low]) => low !== null));
    const top = this.stacked ? 2 : 5;
    keep(this.areas, filled, ({ key }) => key, made(this.stacked ? "area" : "area band"), (path, { points }) =>
      path.setAttribute("d", this.runs(points).map((run) => this.area(run, top)).join("")));
    keep(this.lines, this.layers, ({ key }) => key, made("line"), (path, { points }) =>
      path.setAttribute("d", this.runs(points).map((run) => this.line(run, 2)).join("")));
  }

  // The points without gaps, those just outside the range left out.
  runs(points) {
    const runs = [[]];
    for (const point of points) {
      if (point[2] === null) runs.push([]);
      else if (this.x(point[0]) >= this.left) runs.at(-1).push(point);
    }
    return runs.filter((run) => run.length > 0);
  }

  line(run, column) {
    if (run.length === 1) run = [run[0], run[0]];
    const at = (point) => `${this.x(point[0]).toFixed(1)},${this.y(point[column]).toFixed(1)}`;
    return `M${run.map(at).join("L")}`;
  }

  area(run, top) {
    const back = this.line(run.toReversed(), 1).replace("M", "L");
    return `${this.line(run, top)}${back}Z`;
  }
}

function timeLabel(ms, stepMs) {
  if (stepMs >= DAY_MS || clock(ms, false) === "00:00") return day(ms);
  return clock(ms, stepMs < 60000);
}

function makeMark({ ms }) {
  const group = shape("g", { class: ms === undefined ? "mark-value" : "mark-time" });
  group.append(shape("line"), shape("text"));
  return group;
}
