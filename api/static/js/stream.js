// Live readings and states: server-sent events read by fetch, as an EventSource sends no key.

import { withQuery } from "./ask.js";
import { keyHeaders } from "./key.js";

const SILENT_MS = 60000;
const RETRY_MS = 2000;
const RETRY_REFUSED_MS = 15000;
// Without a key there is nothing to hear; the page's own questions ask for one.
const KEY_WANTED = new Set([401, 403]);

export class Stream {
  // `onEvent(kind, data)` hears each event, `onLive(isLive)` whether all is heard at once now.
  constructor(parameters, { onEvent, onLive }) {
    this.parameters = parameters;
    this.onEvent = onEvent;
    this.onLive = onLive;
    this.lastId = null;
    this.aborter = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
    addEventListener("pagehide", () => this.stop());
  }

  // Begins now; what was missed while it was stopped is not asked for.
  start() {
    if (this.aborter || document.hidden) return;
    this.lastId = null;
    this.aborter = new AbortController();
    this.run(this.aborter);
  }

  stop() {
    this.aborter?.abort();
    this.aborter = null;
  }

  async run(aborter) {
    while (!aborter.signal.aborted) {
      const waitMs = await this.listen(aborter).catch(() => RETRY_MS);
      this.onLive(false);
      if (waitMs === null) {
        if (this.aborter === aborter) this.aborter = null;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  // Returns after how long to come again, or null for not before it is started.
  async listen(aborter) {
    const resume = this.lastId === null ? {} : { "Last-Event-ID": this.lastId };
    const response = await fetch(withQuery("/v1/stream", this.parameters), {
      signal: aborter.signal,
      headers: { Accept: "text/event-stream", ...keyHeaders(), ...resume },
      cache: "no-store",
    });
    if (!response.ok) return KEY_WANTED.has(response.status) ? null : RETRY_REFUSED_MS;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await within(SILENT_MS, reader);
      if (done) return RETRY_MS;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach((block) => this.hear(block));
    }
  }

  hear(block) {
    let kind = "message";
    let data = "";
    for (const line of block.split("\n")) {
      const [, name, text] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
      if (name === "event") kind = text;
      if (name === "data") data += text;
      if (name === "id") this.lastId = text;
    }
    if (!data) return;
    const told = JSON.parse(data);
    if (kind === "feed") this.onLive(told.live);
    else this.onEvent(kind, told);
  }
}

// A connection that is dead says nothing, not even that it is alive.
async function within(milliseconds, reader) {
  let timer;
  const silence = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("silent")), milliseconds);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    reader.cancel().catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
