"""A whole ingest behind stream sockets, killed and stopped while senders wait for answers."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stack.local import LocalStack
from stack.services import Service
from stack.ways import Way
from telemetry.store import Selection
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import locked
from tests.integration.ingest.streams import pack
from tests.line_sender import LineSender

PACK = 20
ways = pytest.mark.parametrize("name", ["tcp-tls", "unix"])


@pytest.fixture
def local() -> Iterator[LocalStack]:
    with LocalStack() as stack:
        yield stack
        for process in stack.processes:
            print(f"--- {process.name}\n{process.log_tail()}")


class KeepingSender:
    """Keeps each line until it is answered, and sends it again on a new connection."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._next = 0
        self.kept: dict[int, bytes] = {}
        self.answered: set[int] = set()
        self.connections = 0

    @property
    def sent(self) -> int:
        return self._next

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stopped and all is answered, connecting as often as it takes."""
        while not stop.is_set() or self.kept:
            with suppress(OSError):
                async with self._connect() as sender:
                    self.connections += 1
                    await self._send(sender, stop)
            await asyncio.sleep(0.05)

    async def _send(self, sender: LineSender, stop: asyncio.Event) -> None:
        numbers = list(self.kept)
        sender.send(self.kept.values())
        while not sender.is_over.is_set() and not (stop.is_set() and not self.kept):
            if not stop.is_set() and len(numbers) - sender.durable < 200:
                line = pack(range(self._next * PACK, (self._next + 1) * PACK))
                self.kept[self._next] = line
                numbers.append(self._next)
                self._next += 1
                sender.send([line])
            await asyncio.sleep(0.001)
            self._settle(numbers[: sender.durable])
        self._settle(numbers[: sender.durable])

    def _settle(self, numbers: list[int]) -> None:
        self.answered |= set(numbers)
        for number in numbers:
            self.kept.pop(number, None)

    def _connect(self) -> LineSender:
        told = self._way.sensors
        if "UNIX_SOCKET" in told:
            return LineSender(Path(told["UNIX_SOCKET"]))
        return LineSender(
            (told["TCP_HOST"], int(told["TCP_PORT"])),
            key=Path(told["KEY_FILE"]).read_text().strip(),
            trust=Path(told["TLS_CA_FILE"]) if "TLS_CA_FILE" in told else None,
        )


def stored_packs(local: LocalStack) -> dict[int, int]:
    """How many readings of each pack are in the store."""
    store = local.open_store()
    everything = Selection(start_ms=0, stop_ms=2**62)
    found: dict[int, int] = {}
    for one in store.readings(everything, limit=10_000_000):
        if one.site == "hall" and one.seq is not None:
            found[one.seq // PACK] = found.get(one.seq // PACK, 0) + 1
    store.close()
    return found


def store_path(local: LocalStack) -> Path:
    return Path(local.store_url.removeprefix("sqlite:///"))


@ways
async def test_nothing_that_was_answered_is_lost_when_ingest_is_killed(
    local: LocalStack, name: str
) -> None:
    way = local.ways.named(name)
    ingest = await asyncio.to_thread(local.start_ingest, ways=[way])
    sender, stop = KeepingSender(way), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await eventually_async(lambda: len(sender.answered) > 100)

    with locked(store_path(local)):
        await eventually_async(lambda: len(sender.kept) >= 200, what="lines without an answer")
        ingest.kill()
    answered = set(sender.answered)
    assert ingest.returncode == -signal.SIGKILL
    assert set(stored_packs(local)) >= answered
    await asyncio.to_thread(ingest.start)
    before = len(sender.answered)
    await eventually_async(lambda: len(sender.answered) > before + 100)
    stop.set()
    await asyncio.wait_for(running, 20)

    assert sender.connections == 2
    assert stored_packs(local) == dict.fromkeys(range(sender.sent), PACK)


@ways
async def test_a_stop_answers_all_that_it_stored(local: LocalStack, name: str) -> None:
    way = local.ways.named(name)
    ingest: Service = await asyncio.to_thread(
        local.start_ingest, ways=[way], settings={"INGEST_FLUSH_INTERVAL_MS": "500"}
    )
    sender, stop = KeepingSender(way), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await eventually_async(lambda: len(sender.answered) > 100)

    began_s = time.monotonic()
    ingest.terminate()
    code = await asyncio.to_thread(ingest.wait, 20)

    assert code == 0
    assert time.monotonic() - began_s < 10
    stored = set(stored_packs(local))
    # The last answers may have come with the end, and not be read yet.
    await eventually_async(lambda: sender.answered >= stored, what="every answer")
    assert sender.answered == stored
    if name == "unix":
        assert not Path(way.sensors["UNIX_SOCKET"]).exists()  # noqa: ASYNC240
    running.cancel()


async def test_a_stop_does_not_wait_for_a_silent_store_and_what_the_spool_has_is_answered(
    local: LocalStack,
) -> None:
    way = local.ways.named("unix")
    patience = {"INGEST_STORE_TIMEOUT_SECONDS": "60", "INGEST_STOP_SECONDS": "2"}
    ingest = await asyncio.to_thread(local.start_ingest, ways=[way], settings=patience)
    sender, stop = KeepingSender(way), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await eventually_async(lambda: len(sender.answered) > 100)

    with locked(store_path(local)):
        before = len(sender.answered)
        await eventually_async(lambda: len(sender.kept) >= 200)
        began_s = time.monotonic()
        ingest.terminate()
        code = await asyncio.to_thread(ingest.wait, 20)
        took_s = time.monotonic() - began_s

    assert code == 0
    assert took_s < 10
    await eventually_async(lambda: len(sender.answered) > before, what="another answer")
    running.cancel()
