import pytest

from api import rates
from telemetry.reading import Reading

FIELD = "written_readings_qos1"
T0 = 1_700_000_000_000


def figures(*counts: tuple[int, float], device: str = "ingest-1") -> list[Reading]:
    """A process's figures: (seconds after T0, counter)."""
    return [
        Reading("denyut", device, "denyut_ingest", T0 + seconds * 1_000, {FIELD: float(count)})
        for seconds, count in counts
    ]


def test_a_rise_is_what_the_counter_grew_by() -> None:
    assert [rise.amount for rise in rates.rises(figures((0, 10), (10, 60), (20, 60)), FIELD)] == [
        50,
        0,
    ]


def test_a_counter_that_began_again_rose_by_what_it_shows() -> None:
    found = rates.rises(figures((0, 1000), (10, 1100), (20, 30)), FIELD)
    assert [rise.amount for rise in found] == [100, 30]


def test_nothing_is_said_about_a_long_silence() -> None:
    assert rates.rises(figures((0, 0), (120, 1000)), FIELD) == []


def test_the_rate_now_adds_up_the_processes_that_report_and_leaves_out_those_that_stopped() -> None:
    running = figures((0, 0), (10, 100), (20, 300))
    other = figures((5, 0), (15, 50), device="ingest-2")
    stopped = figures((-100, 0), (-90, 9_000), device="ingest-3")
    now_ms = T0 + 25_000
    assert rates.current_rate([running, other, stopped], FIELD, now_ms) == pytest.approx(25.0)


def test_the_rate_now_is_unknown_where_no_process_reports() -> None:
    assert rates.current_rate([figures((0, 0), (10, 50))], FIELD, T0 + 600_000) is None
    assert rates.current_rate([figures((0, 5))], FIELD, T0 + 1_000) is None
    assert rates.current_rate([], FIELD, T0) is None


def test_history_spreads_rises_over_its_steps_whatever_their_phase() -> None:
    one = figures((0, 0), (10, 100), (20, 200), (30, 300))
    two = figures((5, 0), (15, 50), (25, 100), (35, 150), device="ingest-2")
    found = rates.history([one, two], {"1": FIELD}, start_ms=T0, now_ms=T0 + 36_000, step_ms=10_000)
    assert found.start_ms == T0
    assert found.rates["1"] == pytest.approx([15.0, 15.0, 15.0])


def test_history_ends_where_not_every_process_has_reported_so_that_its_end_does_not_dip() -> None:
    one = figures((0, 0), (10, 100), (20, 200), (30, 300))
    late = figures((0, 0), (10, 100), (20, 200), device="ingest-2")
    found = rates.history(
        [one, late], {"1": FIELD}, start_ms=T0, now_ms=T0 + 31_000, step_ms=10_000
    )
    assert found.rates["1"] == pytest.approx([20.0, 20.0])


def test_history_shows_a_gap_where_nothing_was_reported() -> None:
    silent = figures((0, 0), (10, 100), (110, 0), (120, 100))
    found = rates.history([silent], {"1": FIELD}, start_ms=T0, now_ms=T0 + 121_000, step_ms=10_000)
    assert found.rates["1"][0] == pytest.approx(10.0)
    assert found.rates["1"][1:11] == [None] * 10
    assert found.rates["1"][11] == pytest.approx(10.0)


def test_history_of_no_process_is_empty() -> None:
    found = rates.history([], {"1": FIELD}, start_ms=T0, now_ms=T0 + 60_000, step_ms=10_000)
    assert found.rates == {"1": []}


def test_a_restart_does_not_make_a_rate_negative_in_history() -> None:
    restarted = figures((0, 5_000), (10, 5_100), (20, 40), (30, 140))
    found = rates.history(
        [restarted], {"1": FIELD}, start_ms=T0, now_ms=T0 + 31_000, step_ms=10_000
    )
    assert found.rates["1"] == pytest.approx([10.0, 4.0, 10.0])
