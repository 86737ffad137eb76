// The list of devices, with its filters, which stand in the address too.

import { ask } from "../ask.js";
import { byId, element, keep, show, write } from "../dom.js";
import { ago, count, plural, rate } from "../format.js";
import { isForKey, sentence } from "../page.js";
import { sparkline } from "../sparkline.js";

const PAGE = 12;
const MORE = 48;
const MOST = 500;
const ALLOWED = /^[A-Za-z0-9_.:-]*$/;
const FILTERS = { search: "prefix", site: "site", state: "state" };
const NOBODY = { devices: [], count: 0, truncated: false };

export const MOST_SITES = 500;

let limit = PAGE;
let asking = 0;

export function listen(onChange) {
  readAddress();
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of Object.keys(FILTERS)) {
    byId(id).addEventListener("input", () => {
      limit = PAGE;
      writeAddress();
      onChange();
    });
  }
  byId("more").addEventListener("click", () => {
    limit = Math.min(MOST, limit + MORE);
    onChange();
  });
}

// Null where meanwhile something else was asked for.
export async function askDevices() {
  asking += 1;
  const mine = asking;
  let found = NOBODY;
  try {
    const asked = filters();
    if (ALLOWED.test(asked.prefix)) found = await ask("/v1/devices", { ...asked, limit });
    complain("");
  } catch (error) {
    // What the filters are at fault for is said beside them.
    if (isForKey(error) || error.status !== 400) throw error;
    complain(sentence(error));
  }
  return mine === asking ? found : null;
}

export function showDevices({ devices, count: all, truncated }) {
  const isFiltered = Object.values(filters()).some((given) => given !== "");
  write(byId("devices-note"), note(devices.length, all, isFiltered));
  show(byId("more"), truncated && limit < MOST);
  keep(byId("device-rows"), devices, ({ device }) => device, makeRow, updateRow);
}

export function showSites({ sites }) {
  const select = byId("site");
  // The site that the address names may be one that is not there.
  const wanted = select.dataset.wanted ?? select.value;
  const names = sites.map(({ site }) => site);
  if (wanted && !names.includes(wanted)) names.push(wanted);
  keep(select, ["", ...names], (name) => name, (name) => element("option", "", name), (option, name) => {
    option.value = name;
    write(option, name || "All sites");
  });
  select.value = wanted;
  delete select.dataset.wanted;
}

function filters() {
  return {
    prefix: byId("search").value.trim(),
    site: byId("site").dataset.wanted ?? byId("site").value,
    state: byId("state").value,
  };
}

function readAddress() {
  const given = new URLSearchParams(location.search);
  byId("search").value = given.get("prefix") ?? "";
  byId("state").value = given.get("state") ?? "";
  if (byId("state").selectedIndex < 0) byId("state").value = "";
  // Which sites there are is not known yet.
  if (given.get("site")) byId("site").dataset.wanted = given.get("site");
}

function writeAddress() {
  delete byId("site").dataset.wanted;
  const address = new URL(location.href);
  for (const [name, given] of Object.entries(filters())) {
    if (given === "") address.searchParams.delete(name);
    else address.searchParams.set(name, given);
  }
  history.replaceState(null, "", address);
}

function complain(words) {
  write(byId("devices-error"), words);
  show(byId("devices-error"), words !== "");
}

function note(shown, all, isFiltered) {
  if (all === 0) return isFiltered ? "No device is like that" : "No device has reported yet";
  const words = plural(all, "device");
  return shown < all ? `The first ${count(shown)} of ${words}` : words;
}

function makeRow({ device }) {
  const row = element("tr");
  const name = element("th", "device-cell");
  name.scope = "row";
  const link = element("a", "", device);
  link.href = `/devices/${encodeURIComponent(device)}`;
  name.append(link);
  const state = element("td");
  state.append(element("span", "state"));
  const trend = element("td", "trend");
  const drawn = element("span", "trend-line");
  drawn.append(sparkline(), element("span", "trend-value"));
  trend.append(drawn);
  const numbers = ["number wide", "number wide"].map((className) => element("td", className));
  row.append(name, element("td", "wide"), state, ...numbers, trend, element("td", "number"));
  return row;
}

function updateRow(row, { site, state, qos, rate: perSecond, last_seen: lastSeen, lag_ms: lag }) {
  const [, siteCell, stateCell, qosCell, rateCell, , seenCell] = row.children;
  write(siteCell, site);
  stateCell.firstElementChild.dataset.state = state;
  write(stateCell.firstElementChild, state);
  write(qosCell, qos === null ? "–" : String(qos));
  write(rateCell, rate(perSecond));
  write(seenCell, ago(lag));
  seenCell.title = lastSeen ?? "";
}
