// One device: how it is, its readings over a range, what is missing of them, and commands to it.

import { ask, devicePath } from "../ask.js";
import { byId, show } from "../dom.js";
import { heard, run, sentence } from "../page.js";
import { Range } from "../range.js";
import { Stream } from "../stream.js";
import * as charts from "./charts.js";
import * as commands from "./commands.js";
import * as gaps from "./gaps.js";
import { showDevice, showGone } from "./head.js";
import { Readings } from "./readings.js";

const EVERY_MS = 1000;
// While the stream tells of readings, asking only keeps what it has told in order.
const EVERY_LIVE_MS = 5000;

const name = decodeURIComponent(location.pathname.split("/").pop());
const range = new Range("10m", () => {
  readings.forget();
  gaps.forget();
  poll.now();
});
const readings = new Readings(name, range);

let isLive = false;
let isGone = false;

async function round() {
  try {
    const device = await ask(devicePath(name));
    isGone = false;
    show(byId("readings"), true);
    show(byId("more-of-device"), true);
    showDevice(device);
    stream.start();
    await Promise.all([showReadings(device), gaps.askAndShow(name, range, device), commands.begin(name)]);
    return Date.now() + readings.offsetMs;
  } catch (error) {
    if (error.status !== 404) throw error;
    isGone = true;
    showGone(name, sentence(error));
    return Date.now() + readings.offsetMs;
  }
}

async function showReadings(device) {
  try {
    await readings.ask(device, isLive);
  } catch (error) {
    // A range that is refused is said beside it, and may be chosen otherwise.
    if (error.status !== 400) throw error;
    range.complain(sentence(error));
    charts.clear();
  }
  charts.showReadings(readings, gaps.spans());
}

let isDrawing = false;

// Many readings may come at once: they are drawn together.
function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  setTimeout(() => {
    isDrawing = false;
    charts.showReadings(readings, gaps.spans());
    heard(Date.now() + readings.offsetMs);
  }, 200);
}

const stream = new Stream({ device: name }, {
  onEvent: (kind, told) => {
    if (kind === "reading" && readings.hear(told)) drawSoon();
    if (kind === "status") poll.now();
    if (kind === "gap") readings.forget();
  },
  onLive: (live) => {
    isLive = live;
  },
});

document.title = `${name} · Denyut`;
charts.listen();
const poll = run(round, () => (isLive || isGone ? EVERY_LIVE_MS : EVERY_MS));
