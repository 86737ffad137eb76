"""Which readings of a device are missing: the gaps between the sequence numbers that are stored."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from telemetry.reading import MAX_INT64
from telemetry.store import StoredSequence

# A number and its time in one integer: a hundred thousand of them are a few megabytes.
_TIME_BITS = 44
_TIME_MASK = (1 << _TIME_BITS) - 1


class Gap(Struct, frozen=True):
    """Numbers of one boot of which none is stored, first <= seq <= last; times in ms.

    `after_ms` is the time of the stored reading before it; None where the boot begins with it.
    """

    boot_ms: int
    first: int
    last: int
    after_ms: int | None
    before_ms: int

    @property
    def missing(self) -> int:
        """How many readings are missing."""
        return self.last - self.first + 1


class Losses(Struct, frozen=True):
    """How many readings are stored, and the gaps between them, the newest first."""

    stored: int
    gaps: list[Gap]

    @property
    def missing(self) -> int:
        """How many readings are missing; numbers that nobody counted up to may add up to more."""
        return min(MAX_INT64, sum(gap.missing for gap in self.gaps))


def losses(sequences: Iterable[StoredSequence], start_ms: int) -> Losses:
    """Return the gaps in the readings of one device from a time on, in any order.

    A boot that began within the range began at 0. What is missing at its end no number tells.
    """
    boots: dict[int, set[int]] = {}
    for one in sequences:
        boots.setdefault(one.boot_ms, set()).add(one.seq << _TIME_BITS | one.time_ms)
    found = [gap for boot_ms in boots for gap in _gaps(boot_ms, sorted(boots[boot_ms]), start_ms)]
    found.sort(key=lambda gap: (gap.before_ms, gap.first), reverse=True)
    return Losses(sum(map(len, boots.values())), found)


def _gaps(boot_ms: int, numbers: list[int], start_ms: int) -> Iterator[Gap]:
    after_ms: int | None = None
    wanted = 0 if boot_ms >= start_ms else numbers[0] >> _TIME_BITS
    for number in numbers:
        seq, time_ms = number >> _TIME_BITS, number & _TIME_MASK
        if seq > wanted:
            yield Gap(boot_ms, wanted, seq - 1, after_ms, time_ms)
        wanted, after_ms = seq + 1, time_ms
