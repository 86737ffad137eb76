"""Two ways through the comparison, made small: a way that promises, and one that does not."""

from bench.compare.measuring import Sizes, losses, speed
from bench.compare.rows import ROWS, Row

SMALL = Sizes(
    packed_readings=4_000,
    single_readings=1_000,
    fast_seconds=2.0,
    steady_per_second=400,
    steady_seconds=1.0,
    burst_readings=1_000,
    around_seconds=0.5,
    away_seconds=1.0,
    quiet_seconds=1.0,
)


def row(name: str) -> Row:
    return next(one for one in ROWS if one.name == name)


def test_a_way_is_measured_on_both_sides() -> None:
    found = speed(row("unix"), "sqlite", SMALL)

    assert found.packs.stored_share == found.single.stored_share == 1.0
    assert found.packs.readings_per_second > 1_000
    assert found.single.cpu_us.sender is not None
    assert found.single.cpu_us.ingest is not None
    assert found.packed_bytes_per_reading < found.bytes_per_reading
    # A reading of the corpus is about this long, and its address comes on top.
    assert 150 < found.bytes_per_reading < 300
    assert (found.latency_ms.p50 or 0) > 1


def test_what_a_way_without_a_promise_loses_is_seen() -> None:
    found = losses(row("mqtt-0"), SMALL)

    assert found.lost_away > 100
    assert found.offered_away == 400 * 2
    assert found.ordered
