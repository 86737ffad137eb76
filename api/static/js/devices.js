// The list of devices, with its filters.

import { ask } from "./ask.js";
import { byId, element, keep, show, write } from "./dom.js";
import { ago, count } from "./format.js";

const PAGE = 12;
const MOST = 500;
const ALLOWED = /^[A-Za-z0-9_.:-]*$/;

let limit = PAGE;

export function listen(onChange, onChoose) {
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["search", "state"]) {
    byId(id).addEventListener("input", () => {
      limit = PAGE;
      onChange();
    });
  }
  byId("more").addEventListener("click", () => {
    limit = Math.min(MOST, limit + 4 * PAGE);
    onChange();
  });
  byId("device-rows").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) onChoose(row.dataset.key);
  });
}

export function askDevices() {
  const prefix = byId("search").value.trim();
  if (!ALLOWED.test(prefix)) return Promise.resolve({ devices: [], count: 0, truncated: false });
  return ask("/v1/devices", { prefix, state: byId("state").value, limit });
}

export function showDevices({ devices, count: all, truncated }, chosen) {
  const isFiltered = byId("search").value.trim() !== "" || byId("state").value !== "";
  write(byId("devices-note"), note(devices.length, all, isFiltered));
  show(byId("more"), truncated && limit < MOST);
  keep(byId("device-rows"), devices, ({ device }) => device, makeRow, (row, device) =>
    updateRow(row, device, chosen));
}

function note(shown, all, isFiltered) {
  if (all === 0) return isFiltered ? "No device is like that" : "No device has reported yet";
  const words = all === 1 ? "1 device" : `${count(all)} devices`;
  return shown < all ? `The first ${count(shown)} of ${words}` : words;
}

function makeRow({ device }) {
  const row = element("tr");
  const name = element("th", "device-cell");
  name.scope = "row";
  const button = element("button", "link", device);
  button.type = "button";
  name.append(button);
  const state = element("td");
  state.append(element("span", "state"));
  row.append(name, element("td", "wide"), state, element("td", "number"), element("td", "number"));
  return row;
}

function updateRow(row, { device, site, state, qos, last_seen: lastSeen, lag_ms: lag }, chosen) {
  const [name, siteCell, stateCell, qosCell, seenCell] = row.children;
  const isChosen = device === chosen;
  row.classList.toggle("chosen", isChosen);
  name.firstElementChild.setAttribute("aria-current", String(isChosen));
  write(siteCell, site);
  stateCell.firstElementChild.dataset.state = state;
  write(stateCell.firstElementChild, state);
  write(qosCell, qos === null ? "–" : String(qos));
  write(seenCell, ago(lag));
  seenCell.title = lastSeen ?? "";
}
