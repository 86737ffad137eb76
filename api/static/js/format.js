// Numbers, times and units in words.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const NOTHING = "–";

const DAY_MS = 86400000;
// Codes of UCUM that people write otherwise.
const UNITS = { Cel: "°C", deg: "°", 1: "", "[g]": "g", "[ppm]": "ppm", "dB{mW}": "dBm", "{rev}/min": "rpm" };

export const count = (value) => (value == null ? NOTHING : whole.format(value));

export const short = (value) => (value < 100000 ? whole.format(value) : compact.format(value));

export function rate(value) {
  if (value == null) return NOTHING;
  return value > 0 && value < 10 ? tenths.format(value) : short(value);
}

export const number = (value) => precise.format(value);

export function share(part, all) {
  const percent = (100 * part) / all;
  if (part === 0) return "none";
  return percent < 0.01 ? "under 0.01 %" : `${percent.toFixed(2)} %`;
}

const BYTES = ["B", "kB", "MB", "GB", "TB"];

export function bytes(given) {
  if (given == null) return NOTHING;
  const power = Math.min(BYTES.length - 1, Math.floor(Math.log10(Math.max(1, given)) / 3));
  return `${new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(given / 1000 ** power)} ${BYTES[power]}`;
}

export const unit = (code) => (code == null ? "" : (UNITS[code] ?? code.replace(/\./g, "·").replace(/[{}]/g, "")));

export const plural = (many, one, more = `${one}s`) => `${count(many)} ${many === 1 ? one : more}`;

// Labels of an axis: as many decimals as tell its steps apart.
export function axis(values) {
  const step = Math.abs(values[1] - values[0]);
  const isLarge = Math.max(...values.map(Math.abs)) >= 100000 && step >= 100;
  const decimals = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const hasHalf = Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6;
  const labels = new Intl.NumberFormat("en", isLarge
    ? { notation: "compact", maximumSignificantDigits: 4 }
    : { maximumFractionDigits: decimals + (hasHalf ? 1 : 0) });
  return values.map((value) => labels.format(value));
}

// Milliseconds as [number, unit].
export function duration(ms) {
  if (ms == null) return [NOTHING, ""];
  if (ms < 1000) return [whole.format(ms), "ms"];
  if (ms < 60000) return [tenths.format(ms / 1000).replace(".0", ""), "s"];
  if (ms < 7200000) return [whole.format(ms / 60000), "min"];
  if (ms < 2 * DAY_MS) return [whole.format(ms / 3600000), "h"];
  return [whole.format(ms / DAY_MS), "days"];
}

export const durationText = (ms) => duration(ms).join(" ").trim();

export function ago(ms) {
  if (ms == null) return "never";
  if (ms < 1000) return "now";
  return `${durationText(Math.floor(ms / 1000) * 1000)} ago`;
}

export const clock = (ms, withSeconds = true) =>
  new Date(ms).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: withSeconds ? "2-digit" : undefined,
  });

export const day = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short" });

// A time as it is told apart from others of a range: with its day where there are several.
export function moment(ms, spanMs = 0, nowMs = Date.now()) {
  const isOfToday = spanMs < DAY_MS && day(ms) === day(nowMs);
  return isOfToday ? clock(ms) : `${day(ms)} ${clock(ms, spanMs < DAY_MS)}`;
}

export function value(given) {
  if (typeof given === "number") return number(given);
  if (typeof given === "boolean") return given ? "yes" : "no";
  return String(given);
}
