// A line of a few pixels that shows how a value went; what it says in words is its title.

import { set, shape } from "./dom.js";
import { linear } from "./scale.js";

const WIDTH = 120;
const HEIGHT = 28;
const EDGE = 3;

export function sparkline() {
  const svg = shape("svg", { class: "spark", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
  svg.append(shape("path"), shape("circle", { r: 2.5, visibility: "hidden" }));
  return svg;
}

// `points`: [[ms, value or null], …] in order of time.
export function drawSparkline(svg, { startMs, endMs, points, words }) {
  const [path, dot] = svg.children;
  const known = points.filter(([, value]) => value !== null);
  const values = known.map(([, value]) => value);
  const least = Math.min(...values);
  const most = Math.max(...values);
  const x = linear(startMs, endMs, EDGE, WIDTH - EDGE);
  // A value that stays as it is runs through the middle.
  const y = least === most ? () => HEIGHT / 2 : linear(least, most, HEIGHT - EDGE, EDGE);
  let isDown = false;
  const steps = points.map(([ms, value]) => {
    if (value === null) {
      isDown = false;
      return "";
    }
    const step = `${isDown ? "L" : "M"}${x(ms).toFixed(1)},${y(value).toFixed(1)}`;
    isDown = true;
    return step;
  });
  set(path, { d: steps.join("") });
  const last = known.at(-1);
  set(dot, last ? { cx: x(last[0]), cy: y(last[1]), visibility: "visible" } : { visibility: "hidden" });
  set(svg, { "aria-label": words });
}
