// The range of time that a page shows: chosen in a form, kept in the address.

import { byId, show, write } from "./dom.js";

const PRESETS = {
  "10m": 600000,
  "1h": 3600000,
  "6h": 21600000,
  "24h": 86400000,
  "7d": 604800000,
};
const WORDS = { "10m": "10 minutes", "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days" };

// Either of a length that ends now, or from a time to a time; `key` tells ranges apart.
function moving(name) {
  return { key: name, name, spanMs: PRESETS[name], isMoving: true, words: `the last ${WORDS[name]}` };
}

function fixed(startMs, stopMs) {
  const key = `${startMs}-${stopMs}`;
  return { key, name: "own", startMs, stopMs, spanMs: stopMs - startMs, isMoving: false, words: "this range" };
}

export class Range {
  constructor(usual, onChange) {
    this.usual = usual;
    this.onChange = onChange;
    this.chosen = this.fromAddress();
    this.showChosen();
    byId("range").addEventListener("change", (event) => this.pick(event));
    byId("range").addEventListener("submit", (event) => this.submit(event));
    addEventListener("popstate", () => {
      this.chosen = this.fromAddress();
      this.showChosen();
      this.onChange();
    });
  }

  // What the API is asked for.
  parameters() {
    const { isMoving, spanMs, startMs, stopMs } = this.chosen;
    return isMoving
      ? { start: `-${spanMs / 1000}s` }
      : { start: new Date(startMs).toISOString(), stop: new Date(stopMs).toISOString() };
  }

  complain(words) {
    write(byId("range-error"), words);
    for (const id of ["range-start", "range-stop"]) {
      byId(id).setAttribute("aria-invalid", String(words !== "" && this.chosen.name === "own"));
    }
  }

  fromAddress() {
    const given = new URLSearchParams(location.search);
    const [startMs, stopMs] = ["start", "stop"].map((name) => Date.parse(given.get(name) ?? ""));
    if (startMs < stopMs) return fixed(startMs, stopMs);
    return moving(given.get("range") in PRESETS ? given.get("range") : this.usual);
  }

  pick(event) {
    if (event.target.name !== "range") return;
    const name = event.target.value;
    show(byId("range-own"), name === "own");
    if (name === "own") {
      const stopMs = this.chosen.stopMs ?? Date.now();
      this.write(stopMs - this.chosen.spanMs, stopMs);
      byId("range-start").focus();
    } else {
      this.choose(moving(name), name === this.usual ? {} : { range: name });
    }
  }

  submit(event) {
    event.preventDefault();
    const [startMs, stopMs] = ["range-start", "range-stop"].map((id) =>
      new Date(byId(id).value).getTime());
    const isOrdered = startMs < stopMs;
    this.complain(isOrdered ? "" : "Give two times, the first one before the second.");
    if (!isOrdered) return;
    const [start, stop] = [startMs, stopMs].map((ms) => new Date(ms).toISOString());
    this.choose(fixed(startMs, stopMs), { start, stop });
  }

  choose(range, query) {
    this.chosen = range;
    this.complain("");
    const address = new URL(location.href);
    for (const name of ["range", "start", "stop"]) address.searchParams.delete(name);
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    history.pushState(null, "", address);
    this.onChange();
  }

  showChosen() {
    const { name, startMs, stopMs } = this.chosen;
    byId("range").elements.range.value = name;
    show(byId("range-own"), name === "own");
    if (name === "own") this.write(startMs, stopMs);
  }

  write(startMs, stopMs) {
    byId("range-start").value = localText(startMs);
    byId("range-stop").value = localText(stopMs);
  }
}

// What a datetime-local field holds: the reader's own clock, without a zone.
function localText(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
