"""What is measured of a way: how fast it goes, and what it loses."""

import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from bench.compare.corpus import DEVICES
from bench.compare.figures import Cpu, Latency, Losses, Rate, Speed
from bench.compare.order_watch import FILE
from bench.compare.rows import Row
from bench.compare.running import Open, Sending, Went, go, latencies, now_ms, stack
from bench.compare.sender import Sent, Task

_LOOK_SECONDS = 0.5


class Sizes(Struct, frozen=True, kw_only=True):
    """How much is sent, and for how long."""

    pack: int = 50
    packed_readings: int = 200_000
    single_readings: int = 40_000
    fast_seconds: float = 4.0
    steady_per_second: float = 1_000
    steady_seconds: float = 5.0
    burst_readings: int = 20_000
    around_seconds: float = 2.0
    away_seconds: float = 10.0
    quiet_seconds: float = 5.0


USUAL = Sizes()


def speed(row: Row, store: str, sizes: Sizes = USUAL) -> Speed:
    """Measure one round of a way: first gently, so that ingest's latencies are of that alone."""
    with stack(store) as local:
        opened = row.open(local, {})
        steady = go(opened, _alone(_steady(opened, sizes, sizes.steady_seconds)))
        found = latencies(opened).summary(opened.kind)  # type: ignore[arg-type]
        single = go(opened, _alone(_fast(opened, sizes, sizes.single_readings, 1)))
        packs = go(opened, _fast(opened, sizes, sizes.packed_readings, sizes.pack))
    return Speed(
        packs=_rate(opened, packs),
        single=_rate(opened, single),
        latency_ms=Latency(found.p50, found.p99),
        bytes_per_reading=steady.sent.wire_bytes / max(steady.sent.readings, 1),
        packed_bytes_per_reading=packs.sent.wire_bytes / max(packs.sent.readings, 1),
    )


def losses(row: Row, sizes: Sizes = USUAL) -> Losses:
    """See what is lost when ingest is killed, and when it is away; and whether order is kept."""
    with stack("sqlite") as local:
        watch = local.folder / "early"
        opened = row.open(local, {FILE: str(watch)}, module="bench.compare.order_watch")
        go(opened, _fast(opened, sizes, sizes.burst_readings, 1))
        ordered = watch.read_text() == "0"
        killed, of_killed = _lost(opened, sizes, 0.0)
        away, of_away = _lost(opened, sizes, sizes.away_seconds)
    return Losses(killed, away, of_killed, of_away, ordered)


def _steady(opened: Open, sizes: Sizes, seconds: float) -> Task:
    return Task(
        way=opened.way,
        boot_ms=now_ms(),
        seconds=seconds,
        readings_per_second=sizes.steady_per_second,
    )


def _fast(opened: Open, sizes: Sizes, readings: int, pack: int) -> Task:
    # Times of the last minute: each reading has one of its own, and none lies ahead.
    boot_ms = now_ms() - readings // DEVICES
    seconds = sizes.fast_seconds
    return Task(way=opened.way, boot_ms=boot_ms, seconds=seconds, readings=readings, pack=pack)


def _alone(task: Task) -> Task:
    return msgspec.structs.replace(task, alone=True)


def _rate(opened: Open, went: Went) -> Rate:
    between = [us for name, us in went.cpu_us.items() if name in opened.between]
    return Rate(
        readings_per_second=went.stored / went.seconds,
        cpu_us=Cpu(went.cpu_us["sender"], sum(between) if between else None, went.cpu_us["ingest"]),
        stored_share=went.stored / max(went.sent.readings, 1),
        limited_by=went.limited_by,
    )


def _lost(opened: Open, sizes: Sizes, away_seconds: float) -> tuple[int, int]:
    """Return how many readings it costs that ingest is away, and of how many.

    For no time at all, it is killed and started again at once.
    """
    task = _steady(opened, sizes, 2 * sizes.around_seconds + away_seconds)
    with Sending(task) as sending:
        sending.begin()
        time.sleep(sizes.around_seconds)
        if away_seconds:
            opened.ingest.stop()
            time.sleep(away_seconds)
        else:
            opened.ingest.kill()
        opened.ingest.start()
        sent = sending.end()
    missing = _settled(_missing(opened, task, sent), sizes.quiet_seconds)
    return missing, sent.readings


def _settled(missing: Callable[[], int], quiet_seconds: float) -> int:
    """Return how many are missing once that has not changed for so long."""
    least, changed_s = missing(), time.monotonic()
    while least and time.monotonic() - changed_s < quiet_seconds:
        time.sleep(_LOOK_SECONDS)
        found = missing()
        if found < least:
            least, changed_s = found, time.monotonic()
    return least


def _missing(opened: Open, task: Task, sent: Sent) -> Callable[[], int]:
    """Return what counts the readings that are not stored, though they are known to be safe."""
    unsafe = {
        (device, seq) for device, first, count in sent.unsafe for seq in range(first, first + count)
    }
    wanted = {
        (device, seq) for device, count in sent.offered.items() for seq in range(count)
    } - unsafe

    def missing() -> int:
        store = opened.local.open_store()
        try:
            stored = {
                (one.device, one.seq) for one in store.sequences() if one.boot_ms == task.boot_ms
            }
        finally:
            store.close()
        return len(wanted - stored)

    return missing
