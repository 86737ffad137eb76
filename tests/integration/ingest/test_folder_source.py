"""The shared folder as a way in: every line is stored or in quarantine before its file goes."""

import asyncio
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.message import Message
from ingest.sources.folder import source as folder_source
from ingest.sources.folder.claimed_file import ClaimedFile
from ingest.sources.folder.claims_of_others import release
from ingest.sources.folder.shared_folder import SharedFolder
from ingest.sources.folder.source import FolderSource
from telemetry.store import StoreUnavailable
from tests.eventually import STALL_SECONDS, eventually_async
from tests.ingest_parts import Parts

NOW_MS = time.time_ns() // 1_000_000
READINGS_A_LINE = 10


def pack(line: int, device: str = "node-1") -> bytes:
    """A line with ten readings, numbered on from line to line."""
    first = line * READINGS_A_LINE
    readings = [
        {"ts": NOW_MS + seq, "values": {"a": 1.0}, "boot": NOW_MS, "seq": seq}
        for seq in range(first, first + READINGS_A_LINE)
    ]
    address = {"site": "jakarta", "device": device, "measurement": "weather"}
    return msgspec.json.encode({**address, "readings": readings}) + b"\n"


def put(folder: Path, name: str, text: bytes) -> None:
    """Write a file as the contract asks."""
    (folder / f".{name}.part").write_bytes(text)
    (folder / f".{name}.part").rename(folder / f"{name}.ndjson")


def move(folder: Path, to: Path) -> None:
    folder.rename(to)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


class Ingest:
    """An ingest's parts with the folder as their only way in."""

    def __init__(
        self, shared: Path, data: Path, client_id: str = "ingest-1", **changed: Any
    ) -> None:
        settings = {"folder": str(shared), "client_id": client_id, "flush_interval_ms": 20}
        self.parts = Parts(data, **{**settings, **changed})
        self.tally = self.parts.tally
        self.source = FolderSource(self.parts.settings, self.parts.intake, self.tally)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep it at work; after it all is dropped as it is, as by SIGKILL."""
        async with self.parts.working():
            tasks = [asyncio.create_task(part) for part in self.source.parts().values()]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        self.source.pause()
        await self.parts.pipeline.drain()
        await self.parts.quarantining.drained()
        await self.source.disconnect()

    def stored(self) -> int:
        """Count the readings in the store."""
        return sum(1 for _ in self.parts.store.sequences())

    def reasons(self) -> list[str]:
        """Return why readings are in quarantine."""
        return [record.reason for record in self.parts.quarantine.records()]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


async def test_files_that_lie_there_and_files_that_come_are_stored_and_go(
    shared: Path, tmp_path: Path
) -> None:
    put(shared, "1", pack(0) + pack(1))
    ingest = Ingest(shared, tmp_path)

    async with ingest.working():
        await eventually_async(lambda: not files(shared))
        put(shared, "2", pack(2))
        await eventually_async(lambda: not files(shared), deadline_seconds=2 + STALL_SECONDS)

        assert ingest.stored() == 3 * READINGS_A_LINE
        assert ingest.tally.messages_by_way["folder"] == 3
        await eventually_async(lambda: ingest.tally.folder_files == 2)
        assert ingest.source.problem is None


async def test_a_file_stays_until_the_store_or_the_spool_has_its_readings(
    shared: Path, tmp_path: Path
) -> None:
    ingest = Ingest(shared, tmp_path, spool_after_ms=3_600_000)
    ingest.parts.store.failure = StoreUnavailable("away")
    put(shared, "1", pack(0))

    async with ingest.working():
        await eventually_async(lambda: ingest.parts.store.called_s)
        assert [path.parent.name for path in files(shared)] == ["ingest-1"]

        ingest.parts.store.failure = None
        await eventually_async(lambda: not files(shared))
        assert ingest.stored() == READINGS_A_LINE


async def test_a_file_goes_when_its_readings_are_in_the_spool(shared: Path, tmp_path: Path) -> None:
    ingest = Ingest(shared, tmp_path, spool_after_ms=0)
    ingest.parts.store.failure = StoreUnavailable("away")
    put(shared, "1", pack(0))

    async with ingest.working():
        await eventually_async(lambda: not files(shared))

        assert ingest.tally.spooled == READINGS_A_LINE


async def test_what_is_no_payload_goes_to_quarantine_and_the_rest_of_the_file_is_stored(
    shared: Path, tmp_path: Path
) -> None:
    noise = bytes(range(256)).replace(b"\n", b"") + b"\n"
    put(shared, "1", pack(0) + noise + pack(1) + b"x" * 2_000_000 + b"\n" + b"\n" * 2_000 + pack(2))
    put(shared, "2", b"\n" * 1_000_000)
    put(shared, "3", pack(3)[:-1])
    ingest = Ingest(shared, tmp_path)

    async with ingest.working():
        await eventually_async(lambda: not files(shared))

        assert ingest.stored() == 3 * READINGS_A_LINE
        assert ingest.reasons()[1:] == [
            "a line of 2,000,000 bytes: its first 1,000,000 are kept",
            "2,000 empty lines",
            "1,000,000 empty lines",
            "the last line has no end",
        ]
        assert ingest.tally.balance == 0


async def test_a_killed_ingests_file_is_read_again_by_its_next_process_and_stored_once(
    shared: Path, tmp_path: Path
) -> None:
    put(shared, "1", pack(0) + pack(1))
    killed = Ingest(shared, tmp_path, spool_after_ms=3_600_000)
    async with killed.working():
        # The store has it and did not live to say so.
        killed.parts.store.late_failure = StoreUnavailable("gone")
        await eventually_async(lambda: killed.parts.store.ended_s)
    assert len(files(shared / "claimed" / "ingest-1")) == 1

    ingest = Ingest(shared, tmp_path)
    async with ingest.working():
        await eventually_async(lambda: not files(shared))

        assert ingest.stored() == 2 * READINGS_A_LINE


async def test_a_stopped_ingest_gives_back_what_it_had_not_read_to_its_end(
    shared: Path, tmp_path: Path
) -> None:
    put(shared, "1", b"".join(pack(line) for line in range(3_000)))
    first = Ingest(shared, tmp_path, held_readings=1_000, batch_readings=100)
    async with first.working():
        await eventually_async(lambda: first.tally.written[1])
        await first.stop()
        assert [path.parent for path in files(shared)] == [shared]
        assert 0 < first.stored() < 3_000 * READINGS_A_LINE

    second = Ingest(shared, tmp_path, client_id="ingest-2")
    async with second.working():
        await eventually_async(lambda: not files(shared))
        assert second.stored() == 3_000 * READINGS_A_LINE


async def test_a_large_file_is_read_no_faster_than_there_is_room(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shared, "1", b"".join(pack(line) for line in range(3_000)))
    ingest = Ingest(shared, tmp_path, held_readings=1_000)
    intake, held = ingest.parts.intake, [0]
    accept = intake.accept

    def note_and_accept(message: Message) -> None:
        accept(message)
        held.append(ingest.tally.in_flight)

    monkeypatch.setattr(intake, "accept", note_and_accept)
    ingest.parts.store.answers.clear()

    async with ingest.working():
        await eventually_async(lambda: not intake.has_room())
        ingest.parts.store.answers.set()
        await eventually_async(lambda: not files(shared))

        assert ingest.stored() == 3_000 * READINGS_A_LINE
        assert max(held) <= 1_000 + READINGS_A_LINE


async def test_two_ingests_share_a_folder_and_read_no_file_twice(
    shared: Path, tmp_path: Path
) -> None:
    for number in range(200):
        put(shared, f"{number:03}", pack(number))
    ingests = [Ingest(shared, tmp_path / f"data-{slot}", f"ingest-{slot}") for slot in (1, 2)]

    async with ingests[0].working(), ingests[1].working():
        await eventually_async(lambda: not files(shared))

        received = [sum(ingest.tally.received) for ingest in ingests]
        assert sum(received) == 200 * READINGS_A_LINE
        assert [ingest.stored() for ingest in ingests] == received


@pytest.mark.usefixtures("fast")
async def test_a_folder_that_is_away_is_a_problem_until_it_is_back(
    shared: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    move(shared, away)
    ingest = Ingest(shared, tmp_path)

    async with ingest.working():
        for _ in range(2):
            await eventually_async(lambda: "No such file" in str(ingest.source.problem))
            move(away, shared)
            await eventually_async(lambda: ingest.source.problem is None)
            move(shared, away)
        move(away, shared)
        await eventually_async(lambda: ingest.source.problem is None)

        put(shared, "1", pack(0))
        await eventually_async(lambda: not files(shared))


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("removed", ["claimed", "claimed/ingest-1"])
async def test_a_folder_of_claims_that_was_removed_is_made_again(
    shared: Path, tmp_path: Path, removed: str
) -> None:
    ingest = Ingest(shared, tmp_path)

    async with ingest.working():
        await eventually_async(lambda: ingest.source.problem is None)
        shutil.rmtree(shared / removed)
        put(shared, "1", pack(0))

        await eventually_async(lambda: not files(shared))
        assert ingest.stored() == READINGS_A_LINE


async def test_other_work_has_its_turn_while_a_file_of_noise_is_read(
    shared: Path, tmp_path: Path
) -> None:
    put(shared, "1", b"x\n" * 5_000)
    ingest = Ingest(shared, tmp_path)
    longest = 0

    async with ingest.working():
        while files(shared):
            before = ingest.tally.messages
            await asyncio.sleep(0)
            longest = max(longest, ingest.tally.messages - before)

    assert ingest.tally.messages == 5_000
    assert longest <= 100


@pytest.mark.usefixtures("fast")
async def test_a_full_folder_is_a_problem_and_its_files_are_taken_all_the_same(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = Ingest(shared, tmp_path)
    full = "ingest.sources.folder.shared_folder._is_full"

    async with ingest.working():
        with monkeypatch.context() as patched:
            patched.setattr(full, lambda _folder: True)
            put(shared, "1", pack(0))
            await eventually_async(lambda: "no space left" in str(ingest.source.problem))
            await eventually_async(lambda: not files(shared))
        await eventually_async(lambda: ingest.source.problem is None)


@pytest.mark.usefixtures("fast")
async def test_a_second_process_of_one_client_id_takes_nothing_and_says_why(
    shared: Path, tmp_path: Path
) -> None:
    first, second = Ingest(shared, tmp_path / "1"), Ingest(shared, tmp_path / "2")

    async with first.working():
        await eventually_async(lambda: first.source.problem is None)
        async with second.working():
            await eventually_async(lambda: "ingest-1 has it" in str(second.source.problem))


@pytest.mark.usefixtures("fast")
async def test_what_cannot_be_read_is_told_and_tried_again_and_others_go_on(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "_CLAIMS_SECONDS", 0.2)
    put(shared, "1", pack(0))
    put(shared, "2", pack(1))
    ingest = Ingest(shared, tmp_path)
    async with ingest.working():
        with monkeypatch.context() as patched:
            patched.setattr(ClaimedFile, "read", broken_for("1"))
            await eventually_async(lambda: ingest.stored() == READINGS_A_LINE)
            said = "1.ndjson: Input/output error"
            await eventually_async(lambda: said in str(ingest.source.problem))

        await eventually_async(lambda: not files(shared))
        assert ingest.stored() == 2 * READINGS_A_LINE
        await eventually_async(lambda: ingest.source.problem is None)


@pytest.mark.usefixtures("fast")
async def test_files_that_a_gone_ingest_had_claimed_are_counted_until_they_are_released(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "_CLAIMS_SECONDS", 0.1)
    put(shared, "1", pack(0))
    gone = SharedFolder(shared, "ingest-2")
    gone.open()
    gone.claim(deque(["1.ndjson"]), 100)
    ingest = Ingest(shared, tmp_path)

    async with ingest.working():
        await eventually_async(lambda: ingest.source.problem is None)
        assert ingest.tally.folder_orphan_files == 0
        gone.close()
        await eventually_async(lambda: ingest.tally.folder_orphan_files == 1)

        assert release(shared, "ingest-2") == 1
        await eventually_async(lambda: ingest.stored() == READINGS_A_LINE)
        await eventually_async(lambda: ingest.tally.folder_orphan_files == 0)


@pytest.mark.parametrize("poll_ms", [0, 50])
async def test_an_idle_source_ends_at_once_when_it_is_cancelled(
    shared: Path, tmp_path: Path, poll_ms: int
) -> None:
    ingest = Ingest(shared, tmp_path, folder_poll_ms=poll_ms)
    async with ingest.working():
        await eventually_async(lambda: ingest.source.problem is None)
        put(shared, "1", pack(0))
        await eventually_async(lambda: not files(shared))
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come quickly."""
    monkeypatch.setattr(folder_source, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("ingest.sources.folder.noticing.LOOK_SECONDS", 0.05)


def broken_for(name: str) -> Callable[[ClaimedFile, int], bytes]:
    """Return a `read` for which the disk has lost one file."""
    read = ClaimedFile.read

    def read_or_fail(file: ClaimedFile, most_bytes: int) -> bytes:
        if file.claim.endswith(f".{name}.ndjson"):
            file.trouble = "Input/output error"
            file.close()
            return b""
        return read(file, most_bytes)

    return read_or_fail
