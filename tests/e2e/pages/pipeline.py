"""What a pipeline would write: a fleet's readings, and the figures of its services."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry.reading import Reading, Value
from telemetry.store import Store

DEVICES = 30
PAST_SECONDS = 90


class Pipeline:
    """Writes it second by second, of some past and from then on."""

    def __init__(self, store: Store, start_ms: int) -> None:
        self._store = store
        self._boot_ms = start_ms
        self._next_seq = [0] * DEVICES
        self._readings = [0, 0, 0]

    def write_second(self, time_ms: int) -> None:
        """Write one reading of each device, of which one in a while got lost at QoS 0."""
        # Counted from the start, so that the same devices tell something in every run.
        swing = math.sin((time_ms - self._boot_ms) / 20_000)
        readings = []
        for number in range(DEVICES):
            qos = number % 3
            if number > DEVICES * (0.7 + 0.3 * swing):
                continue
            seq = self._next_seq[number]
            self._next_seq[number] += 1
            if number == 0 and seq % 9 == 4:
                continue
            self._readings[qos] += 1
            values: dict[str, Value] = {
                "temperature": round(21 + 4 * swing + number / 10, 2),
                "humidity": round(48 - 9 * swing, 1),
                "note": "<img src=x onerror=alert(1)>",
            }
            device, boot_ms = f"station-{number:02}", self._boot_ms
            readings.append(Reading("hall", device, "weather", time_ms, values, boot_ms, seq))
        self._store.write([*readings, *self._own_figures(time_ms)])

    def _own_figures(self, time_ms: int) -> list[Reading]:
        ingest: dict[str, Value] = {"in_flight_readings": 3.0}
        sensors: dict[str, Value] = {}
        for qos, count in enumerate(self._readings):
            sensors[f"offered_readings_qos{qos}"] = float(count)
            sensors[f"acknowledged_readings_qos{qos}"] = float(count)
            ingest[f"received_readings_qos{qos}"] = float(count)
            ingest[f"written_readings_qos{qos}"] = float(count)
            for percentile, latency_ms in (("p50", 14.0), ("p95", 41.0), ("p99", 86.0)):
                ingest[f"latency_ms_qos{qos}_{percentile}"] = latency_ms + 9 * qos
        return [
            Reading("denyut", "ingest-1", "denyut_ingest", time_ms, ingest),
            Reading("denyut", "sensors-1", "denyut_sensors", time_ms, sensors),
            Reading("denyut", "api-1", "denyut_api", time_ms, {"missing_readings_qos0": 7.0}),
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write a second's readings every second, in a thread of its own."""
        stopping = threading.Event()

        def run() -> None:
            while not stopping.wait(1.0):
                self.write_second(now_ms())

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
