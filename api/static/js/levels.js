// The MQTT QoS levels, and what each promises.

export const LEVELS = ["0", "1", "2"];

export const PROMISES = {
  0: ["QoS 0", "at most once"],
  1: ["QoS 1", "at least once, stored once"],
  2: ["QoS 2", "exactly once to the broker, stored once"],
  unknown: ["Unknown", "devices that told no level"],
};
