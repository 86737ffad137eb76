// Rates from counters that processes report now and then, and that a restart sets back to 0.

const LONGEST_RISE_MS = 60000;
// How many intervals later than others a process may report and still count as one that does.
const LATE = 3;

// `readings`: the last figures of each interval and process. Returns, per field, [[ms, rate or
// null], …] over all intervals, the processes added up, each at the middle of its interval.
export function rates(readings, fields, { startMs, stopMs, everyMs }) {
  const processes = Map.groupBy(readings, ({ device }) => device);
  const firstMs = startMs - (startMs % everyMs);
  const steps = Math.max(0, Math.floor((endMs(processes, everyMs) - firstMs) / everyMs) + 1);
  return new Map(fields.map((field) => {
    const sums = new Array(steps).fill(null);
    for (const figures of processes.values()) addRises(sums, figures, field, firstMs, everyMs);
    return [field, sums
      .map((sum, index) => [firstMs + (index + 0.5) * everyMs, sum])
      .filter(([ms]) => ms <= stopMs)];
  }));
}

// Where not every process has reported yet the sum would dip.
function endMs(processes, everyMs) {
  const last = [...processes.values()].map((figures) => Date.parse(figures.at(-1).time));
  const newest = last.reduce((one, other) => Math.max(one, other), -Infinity);
  return last.filter((ms) => newest - ms <= LATE * everyMs).reduce((one, other) => Math.min(one, other), newest);
}

function addRises(sums, figures, field, firstMs, everyMs) {
  const told = figures.filter(({ values }) => typeof values[field] === "number");
  told.slice(1).forEach(({ time, values }, index) => {
    const before = told[index];
    const [fromMs, toMs] = [Date.parse(before.time), Date.parse(time)];
    if (toMs - fromMs > Math.max(LONGEST_RISE_MS, LATE * everyMs)) return;
    const rose = values[field] - before.values[field];
    // A counter that is smaller than before began again at 0.
    const rate = (1000 * (rose < 0 ? values[field] : rose)) / (toMs - fromMs);
    for (let ms = fromMs + everyMs; ms <= toMs; ms += everyMs) {
      const place = Math.round((ms - firstMs) / everyMs);
      if (place >= 0 && place < sums.length) sums[place] = (sums[place] ?? 0) + rate;
    }
  });
}
