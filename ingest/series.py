"""What ingest remembers of each series: how its lines begin, and what came of it lately."""

from ingest.seen import RecentlySeen, Seen
from telemetry.lineprotocol import series_key

_MOST_SERIES = 100_000  # one takes about 500 bytes


class Series:
    """One device's readings of one measurement."""

    __slots__ = ("_boot_ms", "_recently_seen", "_seen", "device", "key")

    def __init__(self, key: str, device: str, recently_seen: RecentlySeen) -> None:
        self.key = key
        self.device = device
        self._recently_seen = recently_seen
        self._boot_ms = -1
        self._seen = Seen()

    def seen(self, boot_ms: int) -> Seen:
        """Return what came lately of a boot of its device."""
        if boot_ms != self._boot_ms:
            self._seen = self._recently_seen.of(self.device, boot_ms)
            self._boot_ms = boot_ms
        return self._seen


class AllSeries:
    """The series that were heard of."""

    def __init__(self) -> None:
        self._recently_seen = RecentlySeen()
        self._known: dict[tuple[str, str, str], Series] = {}

    def of(self, site: str, device: str, measurement: str) -> Series:
        """Return a series. Raises LineProtocolError where no line can begin with such names."""
        name = (site, device, measurement)
        series = self._known.get(name)
        if series is None:
            if len(self._known) >= _MOST_SERIES:
                self._known.clear()
            key = series_key(measurement, device, site)
            series = self._known[name] = Series(key, device, self._recently_seen)
        return series
