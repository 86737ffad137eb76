"""Packs that name their own address: what stands before their readings says whose they are.

A sender writes this beginning once and sends it with each of its packs, so that it is known by its
bytes, as a topic is.
"""

import msgspec

from ingest.grant import Grant
from ingest.hotpath.layouts import Layouts
from ingest.hotpath.quick import Lines, QuickReader
from ingest.series import AllSeries, Series
from telemetry.reading import Address, Reading

_READINGS = b',"readings":['


class _Beginning(Address, frozen=True, forbid_unknown_fields=True):
    """A beginning with the three names, and nothing else."""


_decode = msgspec.json.Decoder(_Beginning).decode


class AddressedPacks:
    """Reads `{"site":…,"device":…,"measurement":…,"readings":[…]}`, its readings of a known layout.

    Anything else, and what a grant does not allow, goes the long way.
    """

    def __init__(self, layouts: Layouts, series: AllSeries) -> None:
        self._series = series
        self._quick = QuickReader(layouts, self._series_of)

    def read(
        self, payload: bytes, grant: Grant | None, oldest_ms: int, newest_ms: int
    ) -> Lines | None:
        """Return what a payload holds; None where the long way has to find out."""
        parts = _cut(payload)
        if parts is None:
            return None
        beginning, pack = parts
        if grant is not None:
            series = self._quick.series(beginning)
            if series is None or not grant.allows(series.device):
                return None
        return self._quick.read(beginning, pack, oldest_ms, newest_ms)

    def learn(self, payload: bytes, readings: list[Reading]) -> None:
        """Learn the layout of a payload that went the long way, without an error."""
        parts = _cut(payload)
        if parts is not None:
            self._quick.learn(*parts, readings)

    def _series_of(self, beginning: str) -> Series | None:
        try:
            address = _decode(beginning.encode("latin-1") + b"}")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return self._series.of(address.site, address.device, address.measurement)


def _cut(payload: bytes) -> tuple[str, bytes] | None:
    """Return the beginning of a pack and its readings, None where it is put together otherwise."""
    end = payload.find(_READINGS)
    if end < 0 or not payload.endswith(b"]}"):
        return None
    return payload[:end].decode("latin-1"), payload[end + len(_READINGS) - 1 : -1]
