"""What each kind of fault does to readings, and what the ledger learns of it."""

from random import Random

from sensors.faults.fault import Fault
from sensors.faults.sending import DropoutPlan
from sensors.faults.values import DriftPlan, SpikePlan, StuckPlan
from sensors.message import Message
from sensors.signals import number
from telemetry.reading import Value
from tests.unit.sensors.test_source import BOOT_MS, decoded, source_of

PERIODS = 40


def made(
    fault: Fault | None, *, periods: int = PERIODS, profile: str = "smart-meter"
) -> list[Message]:
    source = source_of(profile)
    faults = {} if fault is None else {fault.name: fault}
    return [
        message
        for period in range(periods)
        for message in source.readings(BOOT_MS + period * 1000, faults)
    ]


def values(messages: list[Message]) -> list[dict[str, Value]]:
    return [decoded(message).values for message in messages]


def test_without_a_fault_no_reading_is_marked() -> None:
    assert {message.faults for message in made(None)} == {()}
    assert not any(message.withheld for message in made(None))


def test_a_stuck_sensor_repeats_its_first_values() -> None:
    messages = made(StuckPlan().begin(Random(1)))
    assert len({str(one) for one in values(messages)}) == 1
    assert {message.faults for message in messages} == {("stuck",)}


def test_a_fault_of_some_fields_leaves_the_others_and_other_measurements_alone() -> None:
    stuck = values(made(StuckPlan(fields=("voltage",)).begin(Random(1))))
    healthy = values(made(None))
    assert {one["voltage"] for one in stuck} == {healthy[0]["voltage"]}
    assert [one["power"] for one in stuck] == [one["power"] for one in healthy]
    foreign = made(StuckPlan(fields=("temperature",)).begin(Random(1)))
    assert {message.faults for message in foreign} == {()}


def test_spikes_strike_their_share_of_readings_and_only_those_are_marked() -> None:
    spiky = made(SpikePlan(fields=("voltage",), by=1000, chance=0.2).begin(Random(1)), periods=1000)
    healthy = values(made(None, periods=1000))
    for message, was in zip(spiky, healthy, strict=True):
        jump = abs(number(decoded(message).values, "voltage") - number(was, "voltage"))
        assert round(jump) == (1000 if message.faults else 0)
    assert 150 < sum(bool(message.faults) for message in spiky) < 250


def test_a_drift_grows_with_time() -> None:
    drifting = values(made(DriftPlan(fields=("frequency",), per_hour=3600).begin(Random(1))))
    healthy = values(made(None))
    offs = [
        round(number(one, "frequency") - number(was, "frequency"))
        for one, was in zip(drifting, healthy, strict=True)
    ]
    assert offs == list(range(PERIODS))


def test_a_dropout_keeps_readings_but_not_their_numbers() -> None:
    messages = made(DropoutPlan().begin(Random(1)))
    assert all(message.withheld and message.faults == ("dropout",) for message in messages)
    assert [message.seq for message in messages] == list(range(PERIODS))
    some = made(DropoutPlan(chance=0.5).begin(Random(1)), periods=400)
    assert 150 < sum(message.withheld for message in some) < 250
