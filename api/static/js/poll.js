// Asks again and again, one round at a time, and rests while the page is hidden.

export class Poll {
  constructor(round, everyMs) {
    this.round = round;
    this.everyMs = everyMs;
    this.timer = undefined;
    this.running = false;
    this.again = false;
    this.resting = false;
    document.addEventListener("visibilitychange", () => this.now());
  }

  // Begins a round at once, or right after the one that is under way.
  async now() {
    clearTimeout(this.timer);
    if (document.hidden || this.resting) return;
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    const started = performance.now();
    await this.round();
    this.running = false;
    const left = this.again ? 0 : this.everyMs() - (performance.now() - started);
    this.again = false;
    if (!this.resting) this.timer = setTimeout(() => this.now(), Math.max(0, left));
  }

  // Begins no further round until it is woken.
  rest() {
    this.resting = true;
  }

  wake() {
    this.resting = false;
    this.now();
  }
}
