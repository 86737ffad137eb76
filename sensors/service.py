"""One run of a fleet: connect, make readings, empty the outboxes, leave."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from typing import Literal

from sensors.counters import Counters
from sensors.figures import SITE, OwnFigures
from sensors.fleet import Fleet
from sensors.fleetfile import QoS
from sensors.generator import Generator
from sensors.handover import Handover
from sensors.journal import Journal
from sensors.keeping import Keeping, check_kept, open_journal
from sensors.ledgers import AnyLedger, NoLedger, open_ledger
from sensors.member import Member, Surroundings
from sensors.report import Report, make_report
from sensors.schedule import Clock
from sensors.settings import SensorsSettings
from sensors.uplink import Sender, Shared, Uplink
from sensors.ways.kinds import WAYS
from sensors.ways.opening import open_way
from telemetry import log
from telemetry.health import listen
from telemetry.healthserver import serve_health
from telemetry.metrics import Sample
from telemetry.rarelog import RareLog

Phase = Literal["connecting", "running", "draining", "leaving"]

_POLL_SECONDS = 0.05
_LEAVE_SECONDS = 5.0
_READY_SHARE = 0.9

_log = log.get(__name__)


class FleetRun:
    """Runs a fleet in this process; make it inside the event loop. Raises SettingError, OSError."""

    def __init__(self, fleet: Fleet, settings: SensorsSettings) -> None:
        self.fleet = fleet
        self.counters = Counters()
        self.phase: Phase = "connecting"
        self._settings = settings
        self._clock = Clock()
        self._boot_ms = int(self._clock.now_ms())
        self._began_ms: float | None = None
        self._ended_ms: float | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._kind = WAYS[settings.via]
        self._way = open_way(fleet, settings, self.counters, RareLog(_log))
        if settings.outbox_dir:
            check_kept(fleet)
        journal = open_journal(settings)
        self._ledger: AnyLedger = open_ledger(
            settings.ledger_dir, settings.client_id, self._boot_ms
        )
        self._keeping = None if journal is None else self._keep_in(journal)
        self._for_devices = self._shared(self.counters, self._ledger, self._keeping)
        self._generator: Generator | None = None
        self._periods_ms = [device.period_ms for device in fleet.devices]
        self._missed = 0
        around = Surroundings(
            fleet.seed,
            self._for_devices,
            self._shared(self.counters, NoLedger(), None),
            self._way,
            self._clock.now_ms,
            self._set_period,
        )
        self._members = [
            Member(device, place, self._boot_ms, around)
            for place, device in enumerate(fleet.devices)
        ]
        self._handover = Handover(
            self._members, self.counters, self._ledger, self._keeping, self._clock, RareLog(_log)
        )
        if self._keeping is not None:
            self._take_over(self._keeping)
        self._figures = OwnFigures(settings.client_id, self.samples, self._uplink_for_figures())

    def stop(self) -> None:
        """End the run in order; called again, without waiting for the outboxes."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    @property
    def running_seconds(self) -> float:
        """For how long readings have been made; 0 until they begin."""
        if self._began_ms is None:
            return 0.0
        end_ms = self._clock.now_ms() if self._ended_ms is None else self._ended_ms
        return (end_ms - self._began_ms) / 1000

    @property
    def in_flight(self) -> list[int]:
        """How many messages wait for their acknowledgement, by QoS."""
        counts = [0, 0, 0]
        for member in self._members:
            counts[member.qos] += member.uplink.in_flight
        return counts

    @property
    def stage(self) -> str | None:
        """The stage that the run is in, where it has any."""
        return None if self._generator is None else self._generator.stage

    @property
    def unfinished(self) -> int:
        """How many readings are in all outboxes together."""
        waiting = sum(member.uplink.unfinished for member in self._members)
        return waiting + sum(self._handover.held)

    def samples(self) -> Iterator[Sample]:
        """Yield the figures of the run."""
        yield from self.counters.samples()
        for name, value, about in (
            ("fleet_devices", len(self._members), "Devices of the fleet."),
            ("outbox_readings", self.unfinished, "Readings waiting or unacknowledged."),
            ("in_flight_messages", sum(self.in_flight), "Messages without their answer."),
            ("running_seconds", self.running_seconds, "Time since readings began; 0 before."),
        ):
            yield Sample(name, value, about, kind="gauge")
        if self._keeping is not None:
            for name, value, about in (
                ("outbox_disk_readings", self._keeping.readings, "Readings on the outbox's disk."),
                ("outbox_disk_bytes", self._keeping.disk_bytes, "How much of it they take."),
            ):
                yield Sample(name, value, about, kind="gauge")

    async def run(self, duration_seconds: float | None = None) -> Report:
        """Run until `stop` is called or the duration is over, counted from when readings begin."""
        self._take_signals()
        settings = self._settings
        try:
            async with serve_health(
                "sensors",
                listen(settings.http_host, settings.http_port),
                checks={self._kind.peer: self._connected_word},
                samples=self.samples,
            ) as port:
                _log.info("fleet starting", devices=len(self._members), http_port=port)
                await self._run_phases(duration_seconds)
        finally:
            if self._keeping is not None:
                self._keeping.close()
            self._ledger.close()
        return self._report()

    async def _run_phases(self, duration_seconds: float | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._keep_connected(uplink, place), name="uplink")
                for place, uplink in enumerate((self._figures.uplink, *self._uplinks()))
            ]
            background.append(tasks.create_task(self._way.keep(), name="way"))
            figures = self._figures.keep_publishing(self._settings.figures_interval_ms)
            background.append(tasks.create_task(figures, name="figures"))
            if self._keeping is not None:
                keeping = self._keeping.keep(self._settings.outbox_sync_interval_ms)
                background.append(tasks.create_task(keeping, name="keeping"))
            if not self.fleet.run.barrier:
                background.append(tasks.create_task(self._wake_connected(), name="waking"))
            await self._connect()
            await self._make_readings(tasks, duration_seconds)
            await self._drain()
            await self._leave()
            for task in background:
                task.cancel()

    async def _keep_connected(self, uplink: Uplink, place: int) -> None:
        rate = self.fleet.run.connect_per_s
        if rate is not None:
            await asyncio.sleep(place / rate)
        await uplink.keep_connected()

    async def _wake_connected(self) -> None:
        """Without a barrier a device begins when it is connected."""
        asleep = list(self._members)
        for member in asleep:
            member.asleep = True
        while asleep:
            for member in asleep:
                member.asleep = not member.uplink.connected
            asleep = [member for member in asleep if member.asleep]
            await asyncio.sleep(_POLL_SECONDS)

    async def _connect(self) -> None:
        if not self.fleet.run.barrier:
            return
        total = len(self._members)
        await self._until(
            lambda: self.counters.connected == total or self._stop.is_set(),
            self._settings.start_timeout_seconds + total / (self.fleet.run.connect_per_s or inf),
        )
        connected = self.counters.connected
        if connected < total and not self._stop.is_set():
            _log.warning("readings begin before all are connected", connected=connected, of=total)
        # A full collection over all devices would make readings late; they stay as long as the run.
        gc.collect()
        gc.freeze()

    async def _make_readings(
        self, tasks: asyncio.TaskGroup, duration_seconds: float | None
    ) -> None:
        if self._stop.is_set():
            return
        self.phase = "running"
        self._generator = generator = Generator(
            self.fleet, self._periods_ms, self._handover, self.counters, self._clock
        )
        self._began_ms = generator.began_ms
        seconds = duration_seconds or generator.seconds or self.fleet.run.duration_s
        _log.info("readings begin", connected=self.counters.connected, seconds=seconds)
        for member in self._members:
            member.plan_faults()
        generating = tasks.create_task(generator.generate(), name="readings")
        generating.add_done_callback(lambda _: self._stop.set())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        self._missed = generator.end()
        generating.cancel()
        self._ended_ms = self._clock.now_ms()

    def _set_period(self, place: int, period_ms: int) -> None:
        """Change a device's period: from the first reading on, or from now on."""
        self._periods_ms[place] = period_ms
        if self._generator is not None:
            self._generator.set_period(place, period_ms)

    async def _drain(self) -> None:
        self.phase = "draining"
        for member in self._members:
            member.retire()
        self._handover.finish()
        _log.info("draining", readings=self.unfinished)
        await self._until(lambda: not self.unfinished, self._settings.drain_seconds)
        left = self.unfinished
        if left and self._keeping is None:
            _log.error("readings left in the outboxes", readings=left)
        elif left:
            _log.warning("readings stay on disk for the next process", readings=left)

    async def _leave(self) -> None:
        self.phase = "leaving"
        self._figures.publish()
        await self._until(lambda: not self._figures.uplink.unfinished, 1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                leaving = (uplink.leave() for uplink in (*self._uplinks(), self._figures.uplink))
                await asyncio.gather(*leaving)
        await self._until(lambda: not self.counters.connected, 1.0)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition, but not longer than that, nor once somebody is in a hurry."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not condition() and loop.time() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._hurry.wait()
                    return

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)

    def _uplinks(self) -> Iterator[Uplink]:
        return (member.uplink for member in self._members)

    def _connected_word(self) -> str | None:
        connected, total = self.counters.connected, len(self._members)
        word = f"{connected} of {total} devices connected"
        return None if connected >= _READY_SHARE * total else word

    def _keep_in(self, journal: Journal) -> Keeping:
        if journal.torn_bytes:
            _log.warning("the end of a file was damaged", bytes=journal.torn_bytes)
        return Keeping(journal, self._boot_ms, self._ledger, self.counters, RareLog(_log))

    def _take_over(self, keeping: Keeping) -> None:
        """Hand what an earlier process left on disk to its devices, those that keep an outbox."""
        left = keeping.left()
        taken = 0
        for device, member in zip(self.fleet.devices, self._members, strict=True):
            if member.qos and device.name in left:
                numbers = left.pop(device.name)
                member.uplink.take_over(numbers)
                taken += len(numbers)
        stay = keeping.leave_alone(left)
        if taken or stay:
            _log.warning("readings of an earlier process", taken_over=taken, of_no_device_here=stay)

    def _shared(self, counters: Counters, ledger: AnyLedger, keeping: Keeping | None) -> Shared:
        readings = self._settings.outbox_readings
        return Shared(counters, RareLog(_log), ledger, readings, keeping)

    def _uplink_for_figures(self) -> Uplink:
        # Counted apart: the figures tell of the devices, not of themselves.
        shared = self._shared(Counters(), NoLedger(), None)
        qos: QoS = 1 if self._kind.acknowledges else 0
        return self._way.uplink(Sender(self._settings.client_id, SITE, qos), shared)

    def _report(self) -> Report:
        unfinished = self._handover.held
        for member in self._members:
            unfinished[member.qos] += member.uplink.unfinished_readings
        return make_report(
            self.fleet,
            self.counters,
            unfinished=unfinished,
            boot_ms=self._boot_ms,
            seconds=self.running_seconds,
            stages=[] if self._generator is None else self._generator.stages,
            missed=self._missed,
        )
