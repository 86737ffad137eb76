// The API key, where the API asks for one: given in a form, kept for this tab, and forgotten.

import { byId, show, write } from "./dom.js";

const KEPT_AS = "denyut-api-key";
// What a header can carry; the API decides what is a key.
const POSSIBLE = /^[\x21-\x7e]+$/;

let given = sessionStorage.getItem(KEPT_AS);

export const keyHeaders = () => (given === null ? {} : { Authorization: `Bearer ${given}` });

// Shows the form instead of what is guarded; `reason` is the API's word on a key that it refused.
export function ask(reason) {
  write(byId("key-error"), given === null ? "" : reason);
  byId("key-input").setAttribute("aria-invalid", String(given !== null));
  keep(null);
  showForm(true);
  byId("key-input").focus();
}

export function accepted() {
  if (byId("key").hidden) return;
  if (given !== null) keep(given);
  showForm(false);
}

export function listen(onKey) {
  keep(given);
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = byId("key-input").value.trim();
    if (!POSSIBLE.test(key)) {
      write(byId("key-error"), "That is no API key: they look like dnyt_…");
      byId("key-input").setAttribute("aria-invalid", "true");
      byId("key-input").focus();
      return;
    }
    given = key;
    write(byId("key-error"), "");
    onKey();
  });
  // Loaded anew, the page holds nothing any more of what the key has shown.
  byId("forget-key").addEventListener("click", () => {
    keep(null);
    location.reload();
  });
}

function keep(key) {
  given = key;
  if (key === null) sessionStorage.removeItem(KEPT_AS);
  else sessionStorage.setItem(KEPT_AS, key);
  show(byId("forget-key"), key !== null);
  // A plain link carries no key.
  show(byId("data-links"), key === null);
}

function showForm(isAsked) {
  if (!isAsked) byId("key-input").value = "";
  show(byId("key"), isAsked);
  show(byId("guarded"), !isAsked);
  if (isAsked) show(byId("data-links"), false);
}
