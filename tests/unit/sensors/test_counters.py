"""Counts and the samples made of them."""

from sensors.counters import Counters, Lateness
from telemetry.exposition import exposition
from telemetry.metrics import as_values


def test_lateness_percentiles_are_those_of_the_recorded_values() -> None:
    lateness = Lateness()
    for whole in range(100):
        lateness.record(whole + 0.5)
    assert lateness.percentile_ms(50) == 50
    assert lateness.percentile_ms(99) == 99
    assert (lateness.late_readings, lateness.most_ms) == (90, 99.5)


def test_lateness_since_a_copy_is_of_what_came_after_it() -> None:
    lateness = Lateness()
    lateness.record(500)
    before = lateness.copy()
    lateness.record(3.5)

    assert lateness.percentile_ms(99, since=before) == 4
    assert lateness.percentile_ms(99) == 501
    assert before.readings == 1


def test_no_reading_means_no_lateness() -> None:
    assert Lateness().percentile_ms(99) == 0


def test_a_lateness_of_hours_is_counted_too() -> None:
    lateness = Lateness()
    lateness.record(1e7)
    assert lateness.late_readings == 1


def test_samples_carry_their_level_or_reason() -> None:
    counters = Counters()
    counters.offered[2] = 5
    counters.acknowledged[1] = 3
    counters.dropped["outbox_full"][1] = 1
    counters.dropped["outbox_full"][2] = 1
    values = as_values(counters.samples())
    assert values["offered_readings_qos2"] == 5
    assert values["acknowledged_readings_qos1"] == 3
    assert values["dropped_readings_outbox_full"] == 2
    assert "acknowledged_readings_qos0" not in values


def test_samples_can_be_shown_to_prometheus() -> None:
    page = exposition("sensors", Counters().samples).decode()
    assert 'denyut_sensors_offered_readings_total{qos="0"} 0.0' in page
