// Questions to the API, with a time-out, and its problems (RFC 9457) as errors.

import { keyHeaders } from "./key.js";

const TIMEOUT_MS = 8000;

export class Unreachable extends Error {}

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.status = problem.status;
  }
}

export async function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  const query = new URLSearchParams(given).toString();
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { Accept: "application/json", ...keyHeaders() },
      cache: "no-store",
    });
    const answer = await response.json();
    if (response.ok) return answer;
    throw new Refused(answer);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Unreachable("The API cannot be reached");
  }
}

export const devicePath = (device, more = "") =>
  `/v1/devices/${encodeURIComponent(device)}${more}`;
