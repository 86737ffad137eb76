"""Latencies are kept by kind, and those of several processes can be added."""

import pytest

from telemetry.latency import KINDS, Latencies, LatencySummary


def test_percentiles_are_of_the_recorded_values() -> None:
    latencies = Latencies()
    latencies.record("1", range(1, 101))

    assert latencies.summary("1") == LatencySummary(50.0, 95.0, 99.0)
    assert latencies.count("1") == 100


def test_kinds_are_kept_apart_and_nothing_recorded_is_nothing_known() -> None:
    latencies = Latencies()
    latencies.record("2", [7])

    assert [latencies.count(kind) for kind in KINDS] == [0, 0, 1, 0]
    assert latencies.summary("0") == LatencySummary(None, None, None)


def test_a_clock_that_is_ahead_counts_as_no_latency_and_a_late_one_is_capped() -> None:
    latencies = Latencies()
    latencies.record("0", [-5000, 10**12])

    assert latencies.count("0") == 2
    assert latencies.summary("0").p50 == 0.0


def test_what_another_process_encoded_is_added() -> None:
    ours, theirs = Latencies(), Latencies()
    ours.record("1", [10] * 50)
    theirs.record("1", [1000] * 50)

    ours.add_encoded(theirs.encode())

    assert ours.count("1") == 100
    assert ours.summary("1").p50 == 10.0
    assert ours.summary("1").p99 == pytest.approx(1000, rel=0.001)


def test_what_took_longer_than_the_objective_is_counted() -> None:
    latencies = Latencies(objective_ms=200)
    latencies.record("1", [199, 200, 201, 201, 5000])

    assert latencies.over_objective == {"0": 0, "1": 3, "2": 0, "late": 0}
