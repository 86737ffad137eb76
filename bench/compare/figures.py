"""What is found out about a way, and its shape in `build/compare.json`."""

from collections.abc import Iterable
from statistics import median

from msgspec import Struct


class Latency(Struct, frozen=True):
    """From a reading's own time to the store's confirmation, in milliseconds."""

    p50: float | None
    p99: float | None


class Cpu(Struct, frozen=True):
    """Microseconds of CPU a reading; `between` is the broker or the database that carries it."""

    sender: float | None
    between: float | None
    ingest: float | None


class Rate(Struct, frozen=True):
    """A run as fast as it goes: how many were stored a second, at what cost, and what was full."""

    readings_per_second: float
    cpu_us: Cpu
    stored_share: float
    limited_by: str


class Speed(Struct, frozen=True):
    """One round of a way: in packs, one reading a message, and at a steady rate."""

    packs: Rate
    single: Rate
    latency_ms: Latency
    bytes_per_reading: float
    packed_bytes_per_reading: float


class Losses(Struct, frozen=True):
    """What a way lost, of how many, and whether each device's readings came in their order."""

    lost_sigkill: int
    lost_away: int
    offered_sigkill: int
    offered_away: int
    ordered: bool


class Compared(Struct, frozen=True, kw_only=True):
    """A line of `build/compare.json`; None where it was not measured, and `why` says the reason."""

    name: str
    promised: bool
    store: str
    rounds: int = 0
    readings_per_second: float | None = None
    single_readings_per_second: float | None = None
    spread: tuple[float, float] | None = None
    """The slowest and the fastest round of `readings_per_second`."""
    stored_share: float | None = None
    latency_ms: Latency | None = None
    cpu_us: Cpu | None = None
    single_cpu_us: Cpu | None = None
    bytes_per_reading: float | None = None
    packed_bytes_per_reading: float | None = None
    lost_sigkill: int | None = None
    lost_away: int | None = None
    offered_sigkill: int | None = None
    offered_away: int | None = None
    ordered: bool | None = None
    limited_by: str | None = None
    why: str = ""

    @property
    def broke_its_promise(self) -> bool:
        """Whether a way that promises every reading has lost one."""
        return self.promised and bool(self.lost_sigkill or self.lost_away)


def gather(
    name: str,
    *,
    promised: bool,
    store: str,
    speeds: list[Speed],
    losses: Losses | None,
    why: str,
) -> Compared:
    """Return the medians of a way's rounds, and what it lost."""
    found: dict[str, object] = {}
    if speeds:
        rates = [one.packs.readings_per_second for one in speeds]
        # What was full in the round that stands for all.
        middle = sorted(speeds, key=lambda one: one.packs.readings_per_second)[len(speeds) // 2]
        found = {
            "readings_per_second": round(median(rates)),
            "spread": (round(min(rates)), round(max(rates))),
            "single_readings_per_second": round(
                median(one.single.readings_per_second for one in speeds)
            ),
            "stored_share": round(min(one.packs.stored_share for one in speeds), 3),
            "latency_ms": Latency(
                _median(one.latency_ms.p50 for one in speeds),
                _median(one.latency_ms.p99 for one in speeds),
            ),
            "cpu_us": _cpu([one.packs.cpu_us for one in speeds]),
            "single_cpu_us": _cpu([one.single.cpu_us for one in speeds]),
            "bytes_per_reading": _median(one.bytes_per_reading for one in speeds),
            "packed_bytes_per_reading": _median(one.packed_bytes_per_reading for one in speeds),
            "limited_by": middle.packs.limited_by,
        }
    if losses is not None:
        found |= {name: getattr(losses, name) for name in Losses.__struct_fields__}
    return Compared(
        name=name,
        promised=promised,
        store=store,
        rounds=len(speeds),
        why=why,
        **found,  # type: ignore[arg-type]
    )


def _cpu(all_us: list[Cpu]) -> Cpu:
    return Cpu(
        _median(one.sender for one in all_us),
        _median(one.between for one in all_us),
        _median(one.ingest for one in all_us),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return round(median(known), 1) if known else None
