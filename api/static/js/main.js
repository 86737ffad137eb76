// The live page: asks the API every second, and shows what it answers.

import { Refused, ask } from "./ask.js";
import { showDelivery } from "./delivery.js";
import * as device from "./device.js";
import * as devices from "./devices.js";
import { byId, show, write } from "./dom.js";
import { showFleet, showMissing } from "./fleet.js";
import { clock } from "./format.js";
import * as key from "./key.js";
import { Poll } from "./poll.js";

const EVERY_MS = 1000;

let lastAnswerMs = null;

async function round() {
  try {
    const [fleet, delivery, found] = await Promise.all([
      ask("/v1/fleet"),
      ask("/v1/delivery"),
      devices.askDevices(),
    ]);
    showFleet(fleet);
    showMissing(delivery);
    showDelivery(delivery);
    if (device.chosenDevice() === null) device.choose(fromAddress() ?? found.devices[0]?.device);
    devices.showDevices(found, device.chosenDevice());
    show(byId("device"), device.chosenDevice() !== null);
    await showChosen();
    lastAnswerMs = Date.parse(fleet.time);
    key.accepted();
    say("live", `Live · ${clock(lastAnswerMs)}`, "");
  } catch (error) {
    if (error.status === 401 || error.status === 403) askForKey(error);
    else complain(error);
  }
}

async function showChosen() {
  try {
    device.showDevice(await device.askDevice());
  } catch (error) {
    if (error.status !== 404) throw error;
    // The address may name a device that is gone, or was never there.
    history.replaceState(null, "", " ");
    device.choose(null);
  }
}

// There is nothing to ask until somebody gives a key.
function askForKey(error) {
  poll.rest();
  key.ask(error.message);
  say("waiting", "Key needed", "");
}

function complain(error) {
  const reason = error instanceof Refused ? error.message : "The API cannot be reached.";
  const last = lastAnswerMs === null ? "" : ` What you see is from ${clock(lastAnswerMs)}.`;
  say("away", "Not connected", `${reason}${last} Trying again every second.`);
}

function say(state, words, banner) {
  byId("live").dataset.state = state;
  write(byId("live-text"), words);
  write(byId("banner"), banner);
  show(byId("banner"), banner !== "");
}

function fromAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("device");
}

const poll = new Poll(round, EVERY_MS);
devices.listen(() => poll.now(), (name) => {
  device.choose(name);
  history.replaceState(null, "", `#${new URLSearchParams({ device: name })}`);
  poll.now();
});
device.listen(() => poll.now());
key.listen(() => poll.wake());
poll.now();
