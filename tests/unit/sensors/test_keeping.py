"""What earlier processes left on disk, in this process's outboxes and ledger."""

import asyncio
import os
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sensors.counters import Counters
from sensors.journal import Journal
from sensors.keeping import Keeping
from sensors.message import Message
from telemetry import log
from telemetry.ledger import DROPPED, LedgerWriter, Session, read_ledger
from telemetry.payload.native import encode_native
from telemetry.rarelog import RareLog
from telemetry.reading import Reading
from tests.eventually import eventually_async
from tests.scripted_channel import ScriptedChannel
from tests.uplinks import publishing

BUDGET_BYTES = 1_000_000
EARLIER_MS, NOW_MS = 1_700_000_000_000, 1_800_000_000_000


class Process:
    """One process's part on disk, with a ledger of its own."""

    def __init__(self, root: Path, boot_ms: int) -> None:
        self.boot_ms = boot_ms
        self.counters = Counters()
        self.ledger_path = root / f"{boot_ms}.ledger"
        self.ledger = LedgerWriter(self.ledger_path)
        journal = Journal(root / "outbox", BUDGET_BYTES)
        quiet = RareLog(log.get("test"))
        self.keeping = Keeping(journal, boot_ms, self.ledger, self.counters, quiet)
        self.forgotten_through: list[int] = []

    def write(self, device: str, count: int, *, qos: int = 1, text: str = "") -> None:
        for seq in range(count):
            reading = Reading(
                "home", device, "m", self.boot_ms + seq, {"a": text}, self.boot_ms, seq
            )
            topic = f"telemetry/home/{device}/m".encode()
            message = Message(seq, 0, 0, "m", topic, encode_native(reading), 0, seq)
            self.keeping.write([(qos, message)], self.forgotten_through.append)

    def close(self) -> None:
        self.keeping.close()
        self.ledger.close()

    def ledger_sessions(self) -> list[Session]:
        self.ledger.flush()
        return read_ledger([self.ledger_path]).sessions


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Process]:
    """A process after another one that left three readings of `a` and two of `b`."""
    earlier = Process(tmp_path, EARLIER_MS)
    earlier.write("a", 3, qos=1)
    earlier.write("b", 2, qos=2)
    earlier.close()
    process = Process(tmp_path, NOW_MS)
    yield process
    process.close()


def test_what_was_left_is_told_by_device_in_its_order(later: Process) -> None:
    assert later.keeping.left() == {"a": array("Q", [1, 2, 3]), "b": array("Q", [4, 5])}


def test_what_is_fetched_of_an_earlier_boot_is_offered_in_this_ledger_as_well(
    later: Process,
) -> None:
    messages = later.keeping.fetch(array("Q", [2, 4, 5]))
    assert [(one.seq, one.measurement) for one in messages] == [(1, "m"), (0, "m"), (1, "m")]
    told = {
        (one.device, one.boot_ms, one.qos): [time_ms - EARLIER_MS for time_ms in one.times_ms]
        for one in later.ledger_sessions()
    }
    never_offered = -1 - EARLIER_MS
    assert told == {("a", EARLIER_MS, 1): [never_offered, 1], ("b", EARLIER_MS, 2): [0, 1]}


def test_what_is_fetched_of_this_boot_is_offered_no_second_time(later: Process) -> None:
    session = later.ledger.open_session(site="home", device="a", boot_ms=NOW_MS, qos=1)
    later.keeping.know_session("a", NOW_MS, session)
    later.write("a", 1)
    (message,) = later.keeping.fetch(array("Q", [6]))
    assert message.session == session
    assert [len(one.times_ms) for one in later.ledger_sessions()] == [0]


def test_what_nobody_takes_is_dropped_and_told_when_the_budget_is_used_up(later: Process) -> None:
    assert later.keeping.leave_alone(["a", "b"]) == 5
    later.write("a", 600, text="x" * 2000)
    assert later.keeping.disk_bytes <= BUDGET_BYTES
    assert later.forgotten_through[0] == 5
    assert later.counters.dropped["outbox_full"] == [0, 3, 2]
    dropped = {one.device: one.ends.count(DROPPED) for one in later.ledger_sessions()}
    assert dropped == {"a": 3, "b": 2}
    assert later.counters.unreadable == 0


def test_what_cannot_be_read_is_counted(later: Process, tmp_path: Path) -> None:
    (path, *_) = sorted((tmp_path / "outbox").glob("*.readings"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"seq":1}', b'"seq":7}'))
    assert len(later.keeping.fetch(array("Q", [1, 2, 3]))) == 2
    assert later.counters.unreadable == 1


@pytest.mark.parametrize(("interval_ms", "synced"), [(1, True), (0, False)])
async def test_it_syncs_at_its_interval_and_writes_down_what_is_settled(
    later: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, interval_ms: int, synced: bool
) -> None:
    syncs: list[int] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        syncs.append(file)
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    later.write("a", 1)
    (message,) = later.keeping.fetch(array("Q", [1]))
    later.keeping.settle(message)
    keeping = asyncio.create_task(later.keeping.keep(interval_ms))
    (settled,) = (tmp_path / "outbox").glob("*1.readings")
    path = settled.with_suffix(".settled")
    await eventually_async(lambda: path.exists() and path.stat().st_size == 8, what="a number")
    if synced:
        await eventually_async(lambda: syncs, what="a sync")
    keeping.cancel()
    assert bool(syncs) == synced


async def test_what_was_left_goes_through_a_channel_with_its_address_and_before_what_is_new(
    later: Process, tmp_path: Path
) -> None:
    channel = ScriptedChannel()
    async with publishing(channel, keeping=later.keeping) as device:
        new = Reading("home", "a", "m", NOW_MS, {"x": 1.0}, NOW_MS, 0)
        device.publish(payload=encode_native(new))
        assert device.counters.taken_over == [0, 3, 0]
        await eventually_async(lambda: device.uplink.connected and not device.uplink.unfinished)
    sent = [msgspec.json.decode(payload) for payload in channel.payloads]
    readings = [one["readings"][0] for one in sent]
    assert [(one["boot"], one["seq"]) for one in readings] == [
        *((EARLIER_MS, seq) for seq in range(3)),
        (NOW_MS, 0),
    ]
    assert {(one["site"], one["device"], one["measurement"]) for one in sent} == {
        ("home", "a", "m")
    }
    later.keeping.close()
    assert Journal(tmp_path / "outbox", BUDGET_BYTES).left.keys() == {(2, b"telemetry/home/b/m")}
