// Questions to the API, with a time-out, and its problems (RFC 9457) as errors.

import { keyHeaders } from "./key.js";

const TIMEOUT_MS = 8000;

export class Unreachable extends Error {}

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.status = problem.status;
    this.parameter = problem.parameter;
  }
}

export function ask(path, parameters = {}) {
  return fetched(withQuery(path, parameters), { cache: "no-store" });
}

export function tell(path, body, timeoutMs) {
  const headers = { "Content-Type": "application/json" };
  return fetched(path, { method: "POST", headers, body: JSON.stringify(body) }, timeoutMs);
}

export const devicePath = (device, more = "") =>
  `/v1/devices/${encodeURIComponent(device)}${more}`;

export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

async function fetched(path, options, timeoutMs = TIMEOUT_MS) {
  let response;
  let answer;
  try {
    response = await fetch(path, {
      ...options,
      signal: AbortSignal.timeout(timeoutMs),
      headers: { Accept: "application/json", ...keyHeaders(), ...options.headers },
    });
    answer = await response.json();
  } catch {
    throw new Unreachable("The API cannot be reached.");
  }
  if (response.ok) return answer;
  throw new Refused({ status: response.status, ...answer });
}
