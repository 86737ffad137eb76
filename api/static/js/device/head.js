// What a device is, and how it is now.

import { byId, element, show, write } from "../dom.js";
import { showFacts } from "../facts.js";
import { ago, durationText, moment, rate } from "../format.js";

export function showDevice(device) {
  write(byId("device-name"), device.device);
  write(byId("device-site"), device.site);
  write(byId("device-state"), device.state);
  byId("device-state").dataset.state = device.state;
  const sinceMs = device.since && Date.now() - Date.parse(device.since);
  const facts = [
    ["Last reading", ago(device.lag_ms)],
    ["Readings/s", rate(device.rate)],
    ["QoS", device.qos === null ? null : String(device.qos)],
    ["Profile", device.profile],
    [device.state === "offline" ? "Offline for" : "In this state for", sinceMs && longText(sinceMs)],
    ["Started", device.boot && moment(Date.parse(device.boot))],
  ];
  showFacts(byId("device-facts"), facts.filter(([, text]) => text != null && text !== ""));
}

const longText = (ms) => durationText(Math.max(0, Math.floor(ms / 1000)) * 1000);

export function showGone(name, words) {
  write(byId("device-name"), name);
  write(byId("device-state"), "not known");
  byId("device-state").dataset.state = "unknown";
  byId("device-facts").replaceChildren(element("p", "note", words));
  show(byId("readings"), false);
  show(byId("more-of-device"), false);
}
