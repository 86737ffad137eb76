"""What devices were told, as readings of our own, so that a dashboard can show it beside theirs."""

import threading
import time

import msgspec
from paho.mqtt.client import Client

from telemetry.topics import OWN_SITE

MEASUREMENT = "denyut_commands"


class CommandJournal:
    """Publishes a reading for each command: to whom, what, how it went, and how long it took."""

    def __init__(self, client_id: str) -> None:
        self._topic = f"telemetry/{OWN_SITE}/{client_id}/{MEASUREMENT}"
        self._lock = threading.Lock()
        self._last_ms = 0

    def note(
        self, client: Client | None, device: str, command: str, outcome: str, began_s: float
    ) -> None:
        """Note a command that has ended; without a connection nobody hears of it."""
        if client is None:
            return
        with self._lock:
            # Two readings of one series never have one time.
            self._last_ms = max(time.time_ns() // 1_000_000, self._last_ms + 1)
            time_ms = self._last_ms
        values = {
            "to": device,
            "command": command,
            "outcome": outcome,
            "milliseconds": (time.monotonic() - began_s) * 1_000,
        }
        client.publish(self._topic, msgspec.json.encode({"ts": time_ms, "values": values}), qos=1)
