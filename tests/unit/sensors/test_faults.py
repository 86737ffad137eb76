"""What each kind of fault does to readings, and what the ledger learns of it."""

import asyncio
from random import Random

import pytest

from sensors.faults.clocks import ClockJumpPlan, ClockSkewPlan
from sensors.faults.devices import FlappingPlan, LowBatteryPlan, ReconnectStormPlan
from sensors.faults.fault import Fault, FaultPlan
from sensors.faults.planning import schedule_fault
from sensors.faults.sending import (
    DropoutPlan,
    DuplicatePlan,
    LatePlan,
    MalformedPlan,
    OutOfOrderPlan,
    SlowLinkPlan,
)
from sensors.faults.values import DriftPlan, SpikePlan, StuckPlan
from sensors.message import Message
from sensors.signals import number
from telemetry.reading import Value
from tests.eventually import eventually_async
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


def sent(plan: FaultPlan, *, count: int = 100, every_ms: float = 100.0) -> list[list[Message]]:
    """What leaves in place of each of so many messages."""
    fault, departures = plan.begin(Random(1)), []
    for index, message in enumerate(made(None, periods=count)):
        messages = [message]
        took_part = fault.send(messages, index * every_ms)
        changed = len(messages) > 1 or message.delay_ms > 0 or message.unwanted
        assert took_part == changed
        departures.append(messages)
    return departures


def test_late_readings_leave_later_and_out_of_order_ones_by_chance() -> None:
    late = sent(LatePlan(by_s=2.0, chance=0.5))
    assert {one.delay_ms for (one,) in late} == {0.0, 2000.0}
    scrambled = [index * 100 + one.delay_ms for index, (one,) in enumerate(sent(OutOfOrderPlan()))]
    assert scrambled != sorted(scrambled)
    assert max(one.delay_ms for (one,) in sent(OutOfOrderPlan(within_s=1))) <= 1000


def test_a_duplicate_is_the_same_reading_again_and_marked_as_a_copy() -> None:
    twice = [messages for messages in sent(DuplicatePlan(chance=0.3)) if len(messages) == 2]
    assert 15 < len(twice) < 45
    for first, second in twice:
        assert (first.seq, first.payload, first.copied) == (second.seq, second.payload, False)
        assert second.copied


def test_a_malformed_payload_can_be_no_reading_and_must_not_be_stored() -> None:
    for (message,) in sent(MalformedPlan(chance=1.0)):
        assert message.unwanted
        with pytest.raises(UnicodeDecodeError):
            message.payload.decode()


def test_on_a_slow_link_messages_queue_behind_each_other_and_the_queue_empties() -> None:
    delays = [one.delay_ms for (one,) in sent(SlowLinkPlan(bytes_per_s=1000), every_ms=100)]
    assert delays == sorted(delays)
    assert delays[-1] > 10 * delays[0] > 1000
    unhurried = [one.delay_ms for (one,) in sent(SlowLinkPlan(bytes_per_s=1000), every_ms=5000)]
    assert max(unhurried) < 1000


def test_a_skewed_clock_gets_further_off_and_a_jumped_one_is_off_at_once() -> None:
    skewed = made(ClockSkewPlan(ppm=100_000).begin(Random(1)))
    assert [one.time_ms - one.due_ms for one in skewed] == [100 * index for index in range(PERIODS)]
    assert skewed[0].faults == ()
    assert skewed[1].faults == ("clock-skew",)
    fast = made(ClockSkewPlan(ppm=900_000).begin(Random(1)), periods=600)
    assert max(one.time_ms - one.due_ms for one in fast) == 240_000
    jumped = made(ClockJumpPlan(by_ms=-5000).begin(Random(1)))
    assert {one.time_ms - one.due_ms for one in jumped} == {-5000}
    assert not any(one.unwanted for one in jumped)
    assert all(one.unwanted for one in made(ClockJumpPlan(by_ms=400_000).begin(Random(1))))
    assert decoded(jumped[0]).time_ms == jumped[0].time_ms


def test_an_emptying_battery_shows_in_its_field_and_ends_in_silence() -> None:
    messages = made(LowBatteryPlan(lasts_s=20).begin(Random(1)), profile="weather-station")
    station = [one for one in messages if one.measurement == "station" and not one.withheld]
    volts = [number(decoded(one).values, "battery_voltage") for one in station]
    assert volts[0] > 3 > 2.5 > volts[1]
    assert [one.withheld for one in messages].count(True) > 15
    assert all(one.faults == ("low-battery",) for one in messages)


class Device:
    """Notes what faults do to it."""

    def __init__(self) -> None:
        self.away: list[float] = []
        self.slower: list[float] = []
        self.strikes: list[str] = []
        self.begun: list[tuple[Fault, float | None, float]] = []

    def begin(self, fault: Fault, for_ms: float | None) -> None:
        self.begun.append((fault, for_ms, asyncio.get_running_loop().time()))

    def struck(self, fault: str) -> None:
        self.strikes.append(fault)

    def break_off(self, away_seconds: float) -> None:
        self.away.append(away_seconds)

    def slow_down(self, times: float) -> None:
        self.slower.append(times)


async def test_a_flapping_connection_breaks_until_the_fault_ends() -> None:
    device, fault = Device(), FlappingPlan(up_s=0.02, down_s=0.01).begin(Random(1))
    fault.began(device)
    await eventually_async(lambda: len(device.away) >= 3, what="three breaks")
    fault.ended(device)
    breaks = len(device.away)
    await asyncio.sleep(0.1)  # long enough for three more
    assert len(device.away) == breaks
    assert device.strikes == ["flapping"] * (breaks - 1)
    ReconnectStormPlan(away_s=0.5).begin(Random(1)).began(device)
    assert device.away[-1] == 0.5


async def test_a_planned_fault_comes_at_its_time_and_again_for_its_share_of_devices() -> None:
    plan = StuckPlan(at_s=0.05, for_s=0.02, every_s=0.05, share=0.5)
    devices = [Device() for _ in range(200)]
    begun = asyncio.get_running_loop().time()
    for place, device in enumerate(devices):
        schedule_fault(device, plan, f"1/d/{place}")
    await eventually_async(
        lambda: max(len(one.begun) for one in devices) >= 3, what="three strikes"
    )
    struck = [one for one in devices if one.begun]
    assert 70 < len(struck) < 130
    for device in struck:
        _, for_ms, at_s = device.begun[0]
        assert for_ms == 20
        assert at_s - begun >= 0.05


async def test_a_storm_by_chance_strikes_a_whole_group_at_one_time() -> None:
    devices = [Device() for _ in range(20)]
    for plan in (ReconnectStormPlan(times_per_hour=36_000, for_s=1.0),):
        for place, device in enumerate(devices):
            schedule_fault(device, plan, f"1/d-{place}/0", "1/d/0")
    await eventually_async(lambda: all(len(one.begun) >= 3 for one in devices), what="storms")
    turns = [[one.begun[turn][2] for one in devices] for turn in range(3)]
    # However slow the machine is, the whole group is struck before the next storm begins.
    assert max(turns[0]) < min(turns[1]) <= max(turns[1]) < min(turns[2])


@pytest.mark.parametrize(
    ("plan", "key"),
    [
        (StuckPlan(), "at_s"),
        (StuckPlan(at_s=1, times_per_hour=1, for_s=1), "at_s"),
        (StuckPlan(times_per_hour=1), "for_s"),
        (StuckPlan(at_s=1, every_s=5), "every_s"),
        (StuckPlan(at_s=1, every_s=5, for_s=6), "for_s"),
        (ClockJumpPlan(at_s=1, by_ms=300_000), "by_ms"),
    ],
)
def test_a_plan_that_contradicts_itself_names_the_key(plan: FaultPlan, key: str) -> None:
    wrong = plan.contradiction()
    assert wrong is not None
    assert wrong[0] == key
