"""How many connections each host has: one alone may not have them all."""

from collections import Counter
from typing import Any


class Hosts:
    """Counts by host, and forgets those that have none any more."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __getitem__(self, host: str) -> int:
        return self._counts[host]

    def add(self, host: str) -> None:
        """Count one more of a host."""
        self._counts[host] += 1

    def remove(self, host: str) -> None:
        """Count one less of it."""
        self._counts[host] -= 1
        if self._counts[host] <= 0:
            del self._counts[host]


def host_of(address: Any) -> str:
    """Return the host of a peer's address; peers of a Unix socket have one without a name."""
    return address[0] if isinstance(address, tuple) else ""
