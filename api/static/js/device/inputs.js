// The fields of a command's form, made from the JSON Schema of its body.

import { element } from "../dom.js";

// Returns [{name, title, input, label, isText, isNullable}, …].
export function inputs(command, { properties = {}, required = [] }) {
  return Object.entries(properties).map(([name, schema]) => {
    const kinds = schema.anyOf ?? [schema];
    const kind = kinds.find(({ type }) => type !== "null") ?? {};
    const isNullable = kinds.some(({ type }) => type === "null");
    const input = made(kind);
    input.id = `${command}-${name}`;
    input.required = required.includes(name) && !isNullable;
    const title = words(name);
    const label = element("label", "", title);
    if (isNullable && required.includes(name)) input.placeholder = "none";
    else if (!input.required) input.placeholder = "not said";
    label.append(input);
    return { name, title, input, label, kind, isNullable, isRequired: required.includes(name) };
  });
}

function made({ type, enum: allowed, minimum, maximum, maxLength }) {
  if (allowed) {
    const select = element("select");
    select.append(...allowed.map((one) => element("option", "", String(one))));
    return select;
  }
  const input = element("input");
  input.autocomplete = "off";
  if (type === "integer" || type === "number") {
    input.type = "number";
    input.step = type === "integer" ? "1" : "any";
    if (minimum !== undefined) input.min = minimum;
    if (maximum !== undefined) input.max = maximum;
  } else {
    input.type = "text";
    input.spellcheck = false;
    input.autocapitalize = "none";
    if (maxLength !== undefined) input.maxLength = maxLength;
  }
  return input;
}

// `period_ms` as people read it.
function words(name) {
  const [, what, unit] = /^(.*?)(?:_(ms|s|seconds))?$/.exec(name);
  const title = what.replaceAll("_", " ");
  return title.charAt(0).toUpperCase() + title.slice(1) + (unit ? ` (${unit})` : "");
}

export const isNeeded = ({ input }) => !input.checkValidity();

// The body: what was left empty is null where it has to be said, and else is not said.
export function askedOf(asked) {
  const body = {};
  for (const { name, input, kind, isNullable, isRequired } of asked) {
    const given = input.value.trim();
    const isNumber = kind.type === "integer" || kind.type === "number";
    if (given !== "") body[name] = isNumber ? Number(given) : given;
    else if (isRequired && isNullable) body[name] = null;
  }
  return body;
}
