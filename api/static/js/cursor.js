// A chart's cursor: moved by pointer and arrow keys, it tells the values of one time.

import { element, keep, set, shape, show, write } from "./dom.js";
import { moment } from "./format.js";
import { BOTTOM, RIGHT, TOP } from "./scale.js";

export class Cursor {
  constructor(chart) {
    this.chart = chart;
    this.ms = null;
    this.group = shape("g", { class: "cursor", visibility: "hidden" });
    this.line = shape("line");
    this.dots = shape("g");
    this.group.append(this.line, this.dots);
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    chart.svg.append(this.group);
    chart.host.append(this.tip);
    this.listen(chart.svg);
  }

  listen(svg) {
    svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    svg.addEventListener("pointerdown", (event) => this.point(event.offsetX));
    svg.addEventListener("pointerleave", () => this.move(null));
    svg.addEventListener("blur", () => this.move(null));
    svg.addEventListener("keydown", (event) => this.key(event));
  }

  point(offsetX) {
    const { data, left, svg } = this.chart;
    if (!data) return;
    const width = svg.clientWidth - left - RIGHT;
    this.move(data.startMs + ((offsetX - left) / width) * (data.endMs - data.startMs));
  }

  key(event) {
    const times = this.times();
    const last = times.length - 1;
    if (event.key === "Escape") this.move(null);
    if (last < 0) return;
    const at = this.ms === null ? last + 1 : times.indexOf(nearest(times, this.ms));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.move(times[Math.min(last, Math.max(0, to))]);
  }

  times() {
    const { startMs, endMs } = this.chart.data;
    const all = this.chart.layers.flatMap(({ points }) => points
      .filter(([ms, , high]) => high !== null && ms >= startMs && ms <= endMs)
      .map(([ms]) => ms));
    return [...new Set(all)].sort((one, other) => one - other);
  }

  move(ms) {
    this.ms = ms;
    this.draw();
  }

  draw() {
    const times = this.ms === null || !this.chart.data ? [] : this.times();
    const isShown = times.length > 0;
    set(this.group, { visibility: isShown ? "visible" : "hidden" });
    show(this.tip, isShown);
    if (!isShown) {
      set(this.chart.svg, { "aria-label": this.chart.label });
      return;
    }
    const { svg, layers } = this.chart;
    const ms = nearest(times, this.ms);
    const x = this.chart.x(ms);
    set(this.line, { x1: x, x2: x, y1: TOP, y2: svg.clientHeight - BOTTOM });
    const here = layers
      .map(({ key, name, points }) => ({ key, name, at: points.find((point) => point[0] === ms) }))
      .filter(({ at }) => at && at[2] !== null);
    const made = ({ key }) => shape("circle", { class: key, r: 4 });
    keep(this.dots, here, ({ key }) => key, made, (dot, { at }) =>
      set(dot, { cx: x, cy: this.chart.y(at[2]) }));
    this.writeTip(ms, here, x);
  }

  writeTip(ms, here, x) {
    const { stacked, data, label, svg, valueText } = this.chart;
    const time = moment(ms, data.endMs - data.startMs, data.endMs);
    const told = here.map(({ key, name, at }) => ({ key, name, text: this.text(at) }));
    const rows = [{ key: "time", text: time }, ...told.toReversed()];
    if (stacked && here.length > 1) rows.push({ key: "all", name: "All", text: valueText(here.at(-1).at[2]) });
    keep(this.tip, rows, ({ key }) => key, makeRow, (row, { name, text }) => {
      if (name) write(row.children[1], name);
      write(row.lastElementChild, text);
    });
    const most = svg.clientWidth - this.tip.offsetWidth - 4;
    const left = x + 14 > most ? x - this.tip.offsetWidth - 14 : x + 14;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${TOP}px)`;
    set(svg, { "aria-label": `${label}. ${time}: ${told.map(({ name, text }) => `${name} ${text}`).join(", ")}` });
  }

  // A value, with the least and the most where it stands for several.
  text([, , , value, least, most]) {
    const { valueText } = this.chart;
    if (least === null || least === most) return valueText(value);
    return `${valueText(value)} (${valueText(least)} to ${valueText(most)})`;
  }
}

function makeRow({ key }) {
  const row = element("p", key === "time" ? "tip-time" : "tip-row");
  if (key !== "time") row.append(element("i", `swatch ${key}`), element("span"));
  row.append(element("b"));
  return row;
}

function nearest(times, ms) {
  return times.reduce((best, one) => (Math.abs(one - ms) < Math.abs(best - ms) ? one : best));
}
