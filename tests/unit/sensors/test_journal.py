"""The outboxes' journal on a real disk: what survives, what goes, and in which order."""

import os
import resource
import shutil
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.journal import Journal, JournalInUse, sync
from sensors.segment import READINGS, SETTLED

BUDGET_BYTES = 1_000_000
PAYLOAD = b"x" * 1000
TOPIC = b"telemetry/home/a/m"


class Disk:
    """Opens a journal, and again on what a process that was killed now would leave of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: list[Journal] = []

    @property
    def folder(self) -> Path:
        return self._root / str(len(self._opened))

    def open(self) -> Journal:
        before = self.folder
        if before.exists():
            shutil.copytree(before, self._root / str(len(self._opened) + 1))
        folder = self._root / str(len(self._opened) + 1)
        self._opened.append(Journal(folder, BUDGET_BYTES))
        return self._opened[-1]

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    disk.close()


def fill(journal: Journal, count: int, payload: bytes = PAYLOAD) -> list[int]:
    numbers = []
    for _ in range(count):
        numbers.append(journal.append(1, TOPIC, payload))
        journal.flush()
    return numbers


def left(journal: Journal) -> list[int]:
    return sorted(number for numbers in journal.left.values() for number in numbers)


def read(journal: Journal, numbers: list[int]) -> list[bytes]:
    return [record.payload for record in journal.read(numbers)]


def segments(folder: Path) -> int:
    return len(list(folder.glob(f"*{READINGS}")))


def test_what_was_flushed_survives_a_crash_in_order_with_level_topic_and_payload(
    disk: Disk,
) -> None:
    journal = disk.open()
    numbers = [
        journal.append(qos, topic, payload)
        for qos, topic, payload in [(1, b"t/1", b"one"), (2, b"t/2", b""), (1, b"t/1", b"three")]
    ]
    journal.flush()
    again = disk.open()
    assert again.left == {
        (1, b"t/1"): array("Q", [numbers[0], numbers[2]]),
        (2, b"t/2"): array("Q", [numbers[1]]),
    }
    found = list(again.read(numbers))
    assert [(one.number, one.qos, one.topic, one.payload) for one in found] == [
        (numbers[0], 1, b"t/1", b"one"),
        (numbers[1], 2, b"t/2", b""),
        (numbers[2], 1, b"t/1", b"three"),
    ]


def test_what_was_appended_and_not_flushed_is_not_there(disk: Disk) -> None:
    disk.open().append(1, TOPIC, PAYLOAD)
    assert left(disk.open()) == []


def test_settled_readings_do_not_come_back(disk: Disk) -> None:
    journal = disk.open()
    numbers = fill(journal, 700)
    for number in numbers[::3]:
        journal.settle(number)
    journal.write_settled()
    assert left(disk.open()) == [number for number in numbers if number not in numbers[::3]]


def test_what_was_settled_in_the_last_moment_comes_back(disk: Disk) -> None:
    journal = disk.open()
    (number, _) = fill(journal, 2)
    journal.settle(number)
    assert number in left(disk.open())


def test_numbers_go_on_where_an_earlier_process_ended(disk: Disk) -> None:
    earlier = fill(disk.open(), 3)
    assert min(fill(disk.open(), 3)) > max(earlier)


def test_an_emptied_journal_leaves_no_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path, BUDGET_BYTES)
    for number in fill(journal, 300):
        journal.settle(number)
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_while_readings_are_settled_soon_the_files_stay_small(disk: Disk) -> None:
    journal = disk.open()
    for _ in range(2000):
        (number,) = fill(journal, 1)
        journal.settle(number)
        assert journal.disk_bytes <= 2 * BUDGET_BYTES // 16


@pytest.mark.parametrize("cut_bytes", [1, 5, 500, 1015])
def test_a_torn_last_record_is_cut_off_and_the_others_stay(disk: Disk, cut_bytes: int) -> None:
    numbers = fill(disk.open(), 5)
    (path,) = disk.folder.glob(f"*{READINGS}")
    data = path.read_bytes()
    path.write_bytes(data[:-cut_bytes])
    again = disk.open()
    assert left(again) == numbers[:4]
    assert again.torn_bytes > 0
    later = fill(again, 1)
    once_more = disk.open()
    assert left(once_more) == [*numbers[:4], *later]
    assert once_more.torn_bytes == 0


def test_a_damaged_record_is_not_taken_for_a_reading(disk: Disk) -> None:
    numbers = fill(disk.open(), 5)
    (path,) = disk.folder.glob(f"*{READINGS}")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert left(disk.open()) == numbers[:4]


def test_a_reading_that_was_damaged_meanwhile_is_left_out(disk: Disk) -> None:
    journal = disk.open()
    numbers = fill(journal, 3)
    (path,) = disk.folder.glob(f"*{READINGS}")
    with path.open("r+b") as file:
        file.seek(1500)
        file.write(b"?")
    assert [record.number for record in journal.read(numbers)] == [numbers[0], numbers[2]]


@contextmanager
def disk_that_refuses(file_bytes: int) -> Iterator[None]:
    """Let the system refuse to make any file larger than this, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_the_disk_refuses_is_not_there_and_all_else_is(disk: Disk) -> None:
    journal = disk.open()
    before = fill(journal, 5)
    refused = [journal.append(1, TOPIC, PAYLOAD) for _ in range(3)]
    with disk_that_refuses(journal.disk_bytes + 1500), pytest.raises(OSError, match="too large"):
        journal.flush()
    assert [journal.holds(number) for number in before + refused] == [True] * 5 + [False] * 3
    after = fill(journal, 2)
    assert len(read(journal, before + after)) == 7
    assert left(disk.open()) == before + after


def test_what_the_disk_refuses_at_first_comes_later(disk: Disk) -> None:
    journal = disk.open()
    with disk_that_refuses(10), pytest.raises(OSError, match="too large"):
        fill(journal, 1)
    number = fill(journal, 1)
    journal.settle(number[0])
    with disk_that_refuses(3), pytest.raises(OSError, match="too large"):
        journal.write_settled()
    journal.write_settled()
    assert left(disk.open()) == []


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff" * 100, b"\1\2\3"])
def test_what_a_crash_of_the_machine_leaves_behind_the_last_record_is_cut_off(
    disk: Disk, tail: bytes
) -> None:
    numbers = fill(disk.open(), 5)
    (path,) = disk.folder.glob(f"*{READINGS}")
    with path.open("ab") as file:
        file.write(tail)
    assert left(disk.open()) == numbers


def test_a_torn_settled_number_is_passed_over_and_those_behind_it_count(disk: Disk) -> None:
    journal = disk.open()
    numbers = fill(journal, 5)
    journal.settle(numbers[0])
    journal.write_settled()
    (path,) = disk.folder.glob(f"*{SETTLED}")
    with path.open("ab") as file:
        file.write(b"\1\2\3")
    again = disk.open()
    again.settle(numbers[1])
    again.write_settled()
    assert left(disk.open()) == numbers[2:]


def test_past_the_budget_the_oldest_segment_goes(disk: Disk) -> None:
    journal = disk.open()
    numbers = fill(journal, BUDGET_BYTES // 1100)
    numbers += [journal.append(1, TOPIC, PAYLOAD) for _ in range(100)]
    assert journal.lacks_room
    last = journal.oldest_through
    journal.drop_through(last)
    journal.flush()
    assert journal.disk_bytes <= BUDGET_BYTES
    assert left(disk.open()) == [number for number in numbers if number > last]
    assert last < numbers[len(numbers) // 8]


def test_a_dropped_segment_takes_no_other_with_it_where_settling_had_removed_it(
    disk: Disk,
) -> None:
    journal = disk.open()
    numbers = fill(journal, 300)
    last = journal.oldest_through
    for number in numbers:
        if number <= last:
            journal.settle(number)
    journal.drop_through(last)
    assert len(read(journal, numbers)) == journal.readings == sum(one > last for one in numbers)


def test_a_reading_that_stays_does_not_keep_the_settled_ones_around_it(disk: Disk) -> None:
    """One device in fifty is stuck: its readings stand between those of the others."""
    journal = disk.open()
    stuck = []
    for _ in range(200):
        kept, *others = fill(journal, 50)
        stuck.append(kept)
        for number in others:
            journal.settle(number)
    journal.write_settled()
    assert journal.readings == 200
    assert journal.disk_bytes < 2.5 * 200 * len(PAYLOAD)
    assert segments(disk.folder) < 10
    assert len(read(journal, stuck)) == 200
    assert left(disk.open()) == stuck


def test_an_interrupted_merge_counts_each_reading_once(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = disk.open()
    removed: list[Path] = []
    monkeypatch.setattr("sensors.segment.Segment.remove", lambda self: removed.append(self.path))
    numbers = fill(journal, 300)
    for number in numbers:
        if number % 10:
            journal.settle(number)
    journal.write_settled()
    numbers += fill(journal, 100)
    assert any(path.exists() for path in removed), "the merged ones are still there"
    monkeypatch.undo()
    again = disk.open()
    assert left(again) == [number for number in numbers if number > 300 or not number % 10]
    assert again.readings == len(left(again))


def files_of(descriptors: list[int]) -> set[int]:
    return {os.fstat(descriptor).st_ino for descriptor in descriptors}


def test_all_that_was_written_since_the_last_sync_is_there_to_be_synced(disk: Disk) -> None:
    journal = disk.open()
    fill(journal, 100)
    descriptors = journal.unsynced()
    written = {path.stat().st_ino for path in disk.folder.glob(f"*{READINGS}")}
    assert len(written) == 2
    assert files_of(descriptors) == {*written, disk.folder.stat().st_ino}
    sync(descriptors)


def test_a_journal_that_is_never_synced_keeps_no_files_open_for_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, BUDGET_BYTES, synced=False)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    fill(journal, 300)
    assert journal.unsynced() == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_before + 1
    journal.close()


def test_two_processes_cannot_have_one_folder(disk: Disk) -> None:
    disk.open()
    with pytest.raises(JournalInUse, match="another process has it"):
        Journal(disk.folder, BUDGET_BYTES)


class Model:
    """What a journal must hold, beside the journal."""

    def __init__(self, root: Path) -> None:
        self.disk = Disk(root)
        self.journal = self.disk.open()
        self.alive: dict[int, bytes] = {}
        self.settled: dict[int, bytes] = {}  # and not written down yet

    def write(self, data: st.DataObject) -> None:
        payload = b"x" * data.draw(st.sampled_from([1, 500, 3000]))
        for _ in range(data.draw(st.integers(1, 60))):
            self.alive[self.journal.append(1, TOPIC, payload)] = payload
        self.journal.flush()

    def settle(self, data: st.DataObject) -> None:
        for number in list(self.alive)[:: data.draw(st.integers(1, 10))]:
            self.journal.settle(number)
            self.settled[number] = self.alive.pop(number)

    def note(self, _data: st.DataObject) -> None:
        self.journal.write_settled()
        self.settled.clear()

    def crash(self, _data: st.DataObject) -> None:
        self.journal = self.disk.open()
        there = set(left(self.journal))
        assert set(self.alive) <= there <= {*self.alive, *self.settled}
        self.alive |= {number: one for number, one in self.settled.items() if number in there}
        self.settled.clear()

    def drop(self, _data: st.DataObject) -> None:
        if self.journal.readings:
            last = self.journal.oldest_through
            self.journal.drop_through(last)
            self.alive = {number: one for number, one in self.alive.items() if number > last}
            self.settled = {number: one for number, one in self.settled.items() if number > last}

    def check(self) -> None:
        assert self.journal.readings == len(self.alive)
        numbers = sorted(self.alive)
        assert read(self.journal, numbers) == [self.alive[number] for number in numbers]


@settings(max_examples=50)
@given(st.data())
def test_whatever_happens_what_was_flushed_and_not_settled_is_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    model = Model(tmp_path_factory.mktemp("journal"))
    steps = (model.write, model.settle, model.settle, model.note, model.crash, model.drop)
    try:
        for _ in range(data.draw(st.integers(1, 40))):
            data.draw(st.sampled_from(steps))(data)
            model.check()
    finally:
        model.disk.close()
