// A chart over time, drawn as SVG: lines, or areas that stand on one another.

import { element, keep, set, shape, show, write } from "./dom.js";
import { axis, clock, number, rate } from "./format.js";
import { linear, timeTicks, valueTicks } from "./scale.js";

const NARROWEST_LEFT = 44;
const DIGIT_WIDTH = 7.5;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const TICK_WIDTH = 72;
const TICK_HEIGHT = 46;

export class Chart {
  // `label` names the chart for those who cannot see it; arrow keys move the cursor.
  constructor(host, { label, stacked = false, emptyText }) {
    this.host = host;
    this.stacked = stacked;
    this.emptyText = emptyText;
    this.cursorMs = null;
    this.svg = shape("svg", { role: "img", tabindex: "0", "aria-label": label });
    this.label = label;
    this.grid = shape("g", { class: "grid" });
    this.areas = shape("g");
    this.lines = shape("g");
    this.cursor = shape("g", { class: "cursor", visibility: "hidden" });
    this.cursorLine = shape("line");
    this.cursorDots = shape("g");
    this.cursor.append(this.cursorLine, this.cursorDots);
    this.svg.append(this.grid, this.areas, this.lines, this.cursor);
    this.empty = element("p", "chart-empty");
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    host.append(this.svg, this.empty, this.tip);
    this.listen();
  }

  listen() {
    new ResizeObserver(() => this.draw()).observe(this.host);
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerdown", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.moveCursor(null));
    this.svg.addEventListener("blur", () => this.moveCursor(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  // `series`: [{key, name, points: [[ms, value or null], …]}], all with the same times if stacked.
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
    this.drawLayers();
    this.drawCursor(height);
  }

  // Each layer's points as [ms, low, high, value]; of lines low is null.
  layered(series) {
    const floor = new Map();
    return series.map(({ key, name, points }) => ({
      key,
      name,
      points: points.map(([ms, value]) => {
        if (!this.stacked || value === null) return [ms, null, value, value];
        const low = floor.get(ms) ?? 0;
        floor.set(ms, low + value);
        return [ms, low, low + value, value];
      }),
    }));
  }

  extent() {
    const { startMs, endMs } = this.data;
    const highs = this.layers
      .flatMap(({ points }) => points)
      .filter(([ms, , high]) => high !== null && ms >= startMs && ms <= endMs)
      .map(([, , high]) => high);
    const most = Math.max(...highs, -Infinity);
    if (this.stacked) return [0, Math.max(most, 1)];
    const least = Math.min(...highs, Infinity);
    if (!Number.isFinite(least)) return [0, 1];
    const slack = (most - least) * 0.08 || Math.abs(most) * 0.02 || 1;
    return [least - slack, most + slack];
  }

  drawGrid(ticks, labels, width, height) {
    const { startMs, endMs } = this.data;
    const times = timeTicks(startMs, endMs, Math.max(2, Math.floor(width / TICK_WIDTH)));
    const marks = [
      ...ticks.map((value, index) => ({ key: `v${value}`, at: this.y(value), text: labels[index] })),
      ...times.ticks.map((ms) => ({ key: `t${ms}`, ms, text: clock(ms, times.step < 60000) })),
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

  drawLayers() {
    const made = (className) => ({ key }) => shape("path", { class: `${className} ${key}` });
    const layers = this.stacked ? this.layers : [];
    keep(this.areas, layers, ({ key }) => key, made("area"), (path, { points }) =>
      path.setAttribute("d", this.runs(points).map((run) => this.area(run)).join("")));
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

  area(run) {
    const back = this.line(run.toReversed(), 1).replace("M", "L");
    return `${this.line(run, 2)}${back}Z`;
  }

  point(offsetX) {
    if (!this.data) return;
    const { startMs, endMs } = this.data;
    const width = this.svg.clientWidth - this.left - RIGHT;
    this.moveCursor(startMs + ((offsetX - this.left) / width) * (endMs - startMs));
  }

  key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const times = this.times();
    if (event.key === "Escape") this.moveCursor(null);
    if (!move || !times.length) return;
    event.preventDefault();
    const at = this.cursorMs === null ? times.length : times.indexOf(nearest(times, this.cursorMs));
    this.moveCursor(times[Math.min(times.length - 1, Math.max(0, at + move))]);
  }

  times() {
    const all = (this.layers ?? []).flatMap(({ points }) =>
      points.filter(([, , high]) => high !== null).map(([ms]) => ms));
    return [...new Set(all)].sort((one, other) => one - other);
  }

  moveCursor(ms) {
    this.cursorMs = ms;
    this.drawCursor(this.svg.clientHeight);
  }

  drawCursor(height) {
    const times = this.times();
    const isShown = this.cursorMs !== null && times.length > 0;
    set(this.cursor, { visibility: isShown ? "visible" : "hidden" });
    show(this.tip, isShown);
    if (!isShown) return;
    const ms = nearest(times, this.cursorMs);
    const x = this.x(ms);
    set(this.cursorLine, { x1: x, x2: x, y1: TOP, y2: height - BOTTOM });
    const here = this.layers
      .map(({ key, name, points }) => ({ key, name, at: points.find((point) => point[0] === ms) }))
      .filter(({ at }) => at && at[2] !== null);
    const made = ({ key }) => shape("circle", { class: key, r: 4 });
    keep(this.cursorDots, here, ({ key }) => key, made, (dot, { at }) =>
      set(dot, { cx: x, cy: this.y(at[2]) }));
    this.writeTip(ms, here, x);
  }

  writeTip(ms, here, x) {
    const valueText = this.stacked ? rate : number;
    const rows = [{ key: "time", text: clock(ms) }].concat(
      here.toReversed().map(({ key, name, at }) => ({ key, name, text: valueText(at[3]) })));
    if (this.stacked) rows.push({ key: "all", name: "All", text: valueText(here.at(-1).at[2]) });
    const make = ({ key }) => {
      const row = element("p", key === "time" ? "tip-time" : "tip-row");
      if (key !== "time") row.append(element("i", `swatch ${key}`), element("span"));
      row.append(element("b"));
      return row;
    };
    keep(this.tip, rows, ({ key }) => key, make, (row, { name, text }) => {
      if (name) write(row.children[1], name);
      write(row.lastElementChild, text);
    });
    const most = this.svg.clientWidth - this.tip.offsetWidth - 4;
    const left = x + 14 > most ? x - this.tip.offsetWidth - 14 : x + 14;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${TOP}px)`;
    const words = here.map(({ name, at }) => `${name} ${valueText(at[3])}`).join(", ");
    set(this.svg, { "aria-label": `${this.label}. ${clock(ms)}: ${words}` });
  }
}

function makeMark({ ms }) {
  const group = shape("g", { class: ms === undefined ? "mark-value" : "mark-time" });
  group.append(shape("line"), shape("text"));
  return group;
}

function nearest(times, ms) {
  return times.reduce((best, one) => (Math.abs(one - ms) < Math.abs(best - ms) ? one : best));
}
