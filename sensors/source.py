"""A device's readings: values, times, sequence numbers and payloads, without any connection."""

from collections.abc import Mapping
from functools import lru_cache
from random import Random

from sensors.faults.clocks import SURELY_REFUSED_MS
from sensors.faults.fault import Fault
from sensors.fleet import Device
from sensors.message import Message
from sensors.payloads import encoder
from sensors.profile import Measurement
from sensors.signals import Moment, Signal
from telemetry.reading import Address, Reading, Value
from telemetry.topics import TopicTemplate

MS_PER_SECOND = 1000
NO_FAULTS: Mapping[str, Fault] = {}


class _Series:
    """One measurement of one device."""

    __slots__ = ("_fields", "_last_ms", "every", "name", "topic")

    def __init__(
        self, device: Device, measurement: Measurement, topics: TopicTemplate, random: Random
    ) -> None:
        self.name = measurement.name
        self.every = measurement.every
        self.topic = topics.topic(Address(device.site, device.name, measurement.name)).encode()
        self._fields: list[tuple[str, Signal]] = list(measurement.fields(random).items())
        self._last_ms: int | None = None

    def time_ms(self, due_ms: int) -> int:
        """Return the reading's time: when it is due, but later than the last one."""
        return due_ms if self._last_ms is None else max(due_ms, self._last_ms + 1)

    def values(self, time_ms: int) -> dict[str, Value]:
        """Return what is measured at a time, and remember it as the last one."""
        elapsed_ms = 0 if self._last_ms is None else time_ms - self._last_ms
        self._last_ms = time_ms
        values: dict[str, Value] = {}
        moment = Moment(time_ms / MS_PER_SECOND, elapsed_ms / MS_PER_SECOND, values)
        for name, signal in self._fields:
            values[name] = signal.at(moment)
        return values


class ReadingSource:
    """Makes the readings of one boot of a device.

    The chance in them depends on the fleet's seed and the device's name alone, so that a device
    reads the same however large its fleet is.
    """

    __slots__ = ("_boot_ms", "_device", "_encode", "_next_seq", "_periods", "_series", "_session")

    def __init__(self, device: Device, *, seed: int, boot_ms: int, session: int = 0) -> None:
        self._device = device
        self._boot_ms = boot_ms
        self._session = session
        self._next_seq = 0
        self._periods = 0
        random = Random(f"{seed}/{device.name}")  # noqa: S311  believable, not secret
        self._encode = encoder(device.habits)
        topics = _template(device.habits.topic)
        self._series = [
            _Series(device, measurement, topics, random)
            for measurement in device.profile.measurements
        ]

    def readings(self, due_ms: int, faults: Mapping[str, Fault] = NO_FAULTS) -> list[Message]:
        """Return the readings of the period that is due at this time (ms since the epoch)."""
        period = self._periods
        self._periods += 1
        return [
            self._message(series, due_ms, faults)
            for series in self._series
            if period % series.every == 0
        ]

    def _message(self, series: _Series, due_ms: int, faults: Mapping[str, Fault]) -> Message:
        seq = self._next_seq
        self._next_seq += 1
        time_ms = series.time_ms(due_ms)
        device, values = self._device, series.values(time_ms)
        ahead_ms = 0
        if faults:
            had_part, ahead_ms = _altered(series.name, values, time_ms, faults)
            time_ms += ahead_ms
        reading = Reading(
            device.site,
            device.name,
            series.name,
            time_ms,
            values,
            self._boot_ms,
            seq,
        )
        payload = self._encode(reading)
        message = Message(
            seq, due_ms, time_ms, series.name, series.topic, payload, self._session, seq
        )
        if faults:
            _withhold(message, had_part, faults)
            message.unwanted = ahead_ms >= SURELY_REFUSED_MS
        return message


@lru_cache
def _template(text: str) -> TopicTemplate:
    return TopicTemplate.parse(text)


def _altered(
    measurement: str, values: dict[str, Value], time_ms: int, faults: Mapping[str, Fault]
) -> tuple[list[str], int]:
    """Return which faults had a part in values or time, and by how much the clock is ahead."""
    had_part, ahead_ms = [], 0
    for name, fault in faults.items():
        off_ms = fault.clock_ms(time_ms)
        ahead_ms += off_ms
        if fault.alter(measurement, values, time_ms) or off_ms:
            had_part.append(name)
    return had_part, ahead_ms


def _withhold(message: Message, had_part: list[str], faults: Mapping[str, Fault]) -> None:
    withholding = [name for name, fault in faults.items() if fault.withholds(message.due_ms)]
    message.faults = tuple(dict.fromkeys(had_part + withholding))
    message.withheld = bool(withholding)
