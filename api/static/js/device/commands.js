// Commands to the device: a form for each that the API knows, and the answers, the newest first.

import { Refused, ask, devicePath, tell } from "../ask.js";
import { byId, element, keep, write } from "../dom.js";
import { clock, value } from "../format.js";
import { isForKey, sentence } from "../page.js";
import { askedOf, inputs, isNeeded } from "./inputs.js";

const MOST_ANSWERS = 8;
// A device may take its time; the API says when it has taken too long.
const TIMEOUT_MS = 70000;

const answers = [];
let isBegun = false;
let number = 0;

export async function begin(device) {
  if (isBegun) return;
  isBegun = true;
  try {
    const { commands } = await ask(devicePath(device, "/commands"));
    byId("commands").replaceChildren(...commands.map((command) => form(device, command)));
  } catch (error) {
    isBegun = false;
    throw error;
  }
}

function form(device, { name, summary, body }) {
  const made = element("form", "command");
  made.noValidate = true;
  const title = element("h3", "", name);
  const note = element("p", "note", summary);
  const fields = element("div", "command-fields");
  const asked = inputs(name, body);
  const button = element("button", "primary", "Send");
  button.type = "submit";
  button.setAttribute("aria-label", `Send ${name}`);
  const error = element("p", "error");
  error.setAttribute("role", "alert");
  fields.append(...asked.map(({ label }) => label), button);
  made.append(title, note, fields, error);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    submit({ device, name, asked, button, error });
  });
  return made;
}

async function submit({ device, name, asked, button, error }) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const wrong = asked.find(isNeeded);
  write(error, wrong ? `${wrong.title}: ${wrong.input.validationMessage}` : "");
  asked.forEach((one) => one.input.setAttribute("aria-invalid", String(one === wrong)));
  if (wrong) {
    wrong.input.focus();
    return;
  }
  const body = askedOf(asked);
  button.setAttribute("aria-disabled", "true");
  write(button, "Waiting…");
  const answer = add(name, body);
  try {
    const { answer: told } = await tell(devicePath(device, `/commands/${name}`), body, TIMEOUT_MS);
    Object.assign(answer, { state: "done", words: done(told) });
  } catch (failure) {
    Object.assign(answer, { state: "failed", words: reason(failure) });
  }
  write(button, "Send");
  button.removeAttribute("aria-disabled");
  showAnswers();
}

function done(told) {
  const parts = Object.entries(told).map(([field, given]) => `${field} ${text(given)}`);
  return parts.length ? `Done: ${parts.join(", ")}.` : "Done.";
}

const text = (given) => (given !== null && typeof given === "object" ? JSON.stringify(given) : value(given));

function reason(failure) {
  const more = isForKey(failure) ? " Forget this key and give one that may send commands." : "";
  return failure instanceof Refused ? sentence(failure) + more : "The API cannot be reached: whether the device obeyed is not known.";
}

function add(name, body) {
  const asked = Object.entries(body).map(([field, given]) => `${field} ${text(given)}`).join(", ");
  number += 1;
  const answer = { number, name: asked ? `${name}: ${asked}` : name, ms: Date.now(), state: "waiting", words: "Waiting for the device…" };
  answers.unshift(answer);
  answers.length = Math.min(answers.length, MOST_ANSWERS);
  showAnswers();
  return answer;
}

function showAnswers() {
  const make = () => {
    const item = element("li", "answer");
    item.append(element("span", "answer-head"), element("p"));
    return item;
  };
  keep(byId("answers"), answers, (one) => one.number, make, (item, one) => {
    item.dataset.state = one.state;
    write(item.firstElementChild, `${clock(one.ms)} · ${one.name}`);
    write(item.lastElementChild, one.words);
  });
}
