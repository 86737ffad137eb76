"""The promise as a state machine: whatever happens in whatever order, nothing acknowledged is lost.

Ingest's real parts, over real files and a real SQLite store, behind a broker in memory. After every
step, what the broker was told to forget is in the store, the spool or the quarantine, as a crash at
that moment would leave them, and the books balance. In the end everything that was published at QoS
1 and 2 is stored once, or in quarantine where it is not fit for the store.

More and other examples on demand: `PROMISE_EXAMPLES=2000 python -m pytest THIS_FILE`.
"""

import asyncio
import logging
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ingest.quarantine import QuarantineRecord, read_segment
from ingest.sources.mqtt.packet_receipts import Unreleased
from ingest.spool_segment import encode_record
from telemetry.payload.native import encode_native
from telemetry.store import (
    Selection,
    StoreError,
    StoreMisconfigured,
    StoreThrottled,
    StoreTooSlow,
    StoreUnavailable,
)
from telemetry.store.sqlite import SQLiteStore
from tests.crashing_disk import CrashingDisk
from tests.failing_store import FailingStore
from tests.ingest_parts import Parts, reading
from tests.model_broker import Link, ModelBroker, Published

_EXAMPLES = int(os.environ.get("PROMISE_EXAMPLES", "0"))
_MOMENT_SECONDS = 0.002
_CALM_SECONDS = 20.0
_SMALL_LIMITS = {
    "spool_bytes": 3_000,
    "held_readings": 40,
    "batch_readings": 5,
    "stop_seconds": 0.08,
}
_QUICK = {
    "ingest.store_writer._FIRST_PAUSE_SECONDS": 0.0005,
    "ingest.store_writer._LONGEST_PAUSE_SECONDS": 0.002,
    "ingest.store_writer._LEAST_MISCONFIGURED_SECONDS": 0.002,
    "ingest.quarantining._FIRST_PAUSE_SECONDS": 0.0005,
    "ingest.quarantining._LONGEST_PAUSE_SECONDS": 0.002,
    "ingest.spooling._LOOK_SECONDS": 0.002,
    "ingest.pipeline._FULL_SPOOL_SECONDS": 0.002,
    "ingest.spool._SEGMENT_BYTES": 400,
}
_FAILURES: dict[str, Exception | None] = {
    "be away": StoreUnavailable("away"),
    "be misconfigured": StoreMisconfigured("401"),
    "be silent": None,
    "be too slow": StoreTooSlow("no answer in time"),
    "fail in no known way": StoreError("?"),
    "fail late": None,  # what it was given is stored all the same
    "have a bug": ZeroDivisionError("?"),
    "throttle": StoreThrottled("slow down", 0.003),
    "work": None,
}
_STORES = st.sampled_from(sorted(_FAILURES))
_FULL = st.sampled_from((set[str](), {"spool"}, {"quarantine"}, {"spool", "quarantine"}))
_LEVELS = st.lists(st.sampled_from((0, 1, 1, 2, 2)), min_size=1, max_size=12)
_SEQ = re.compile(rb'"seq":\s*(\d+)|\bseq=(\d+)i')


def numbers(data: bytes) -> Counter[int]:
    """The numbers of the readings, or payloads, that are in some bytes, and how often."""
    return Counter(int(match[1] or match[2]) for match in _SEQ.finditer(data))


def is_refused(number: int) -> bool:
    """Tell whether the store never takes a number; poison is not even decoded."""
    return number % 7 == 3


def is_poison(number: int) -> bool:
    return number % 7 == 5


class Promise(RuleBasedStateMachine):
    """Ingest with its disk, its store and its broker; `link` is None while it is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        for name, value in _QUICK.items():
            self.resources.enter_context(patch(name, value))
        # Thousands of failures, each with its traceback, would take most of the time.
        self.resources.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.ERROR)
        self.root = Path(tempfile.mkdtemp())
        self.resources.callback(shutil.rmtree, self.root)
        self.folder = self.root / "data"
        self.folder.mkdir()
        self.disk = CrashingDisk(self.folder)
        self.resources.enter_context(patch("ingest.durable.os.fsync", self.disk.fsync))
        self.now_ms = time.time_ns() // 1_000_000
        self.reader = SQLiteStore(str(self.folder / "store.db"))
        self.reader.write([])
        self.loop = asyncio.new_event_loop()
        self.broker = ModelBroker()
        self.published: list[Published] = []
        self.link: Link | None = None
        self.trouble = "work"
        self._start()

    # What happens.

    @initialize(how=_STORES, full=_FULL)
    def begin(self, how: str, full: set[str]) -> None:
        self.let_the_store(how)
        self.fill_or_free_the_disk(full)

    @rule(levels=_LEVELS)
    def publish(self, levels: list[int]) -> None:
        """What is published while ingest is away waits in its session, but for QoS 0."""
        for qos in levels:
            number = len(self.published)
            body = encode_native(reading(number, time_ms=self.now_ms))
            if is_poison(number):
                body = b'{"seq": %d, nonsense' % number
            self.published.append(Published(number, qos, body))
            if qos or self.link is not None:
                self.broker.waiting.append(self.published[-1])

    @rule(count=st.integers(1, 20), moments=st.integers(0, 5), heard=st.booleans())
    def let_time_pass(self, count: int, moments: int, heard: bool) -> None:
        """Messages are delivered, ingest works, and the broker hears what was acknowledged."""
        while count and self.link is not None and self.link.deliver(self.now_ms):
            count -= 1
        self.loop.run_until_complete(asyncio.sleep(moments * _MOMENT_SECONDS))
        if heard and self.link is not None:
            self.link.hear()

    @rule(levels=_LEVELS)
    def let_all_go_its_way(self, levels: list[int]) -> None:
        self.publish(levels)
        self.let_time_pass(count=20, moments=4, heard=True)

    @rule(missed=_LEVELS, moments=st.integers(0, 5))
    def cut_the_link(self, missed: list[int], moments: int) -> None:
        """For a while; what ingest holds goes on meanwhile, and is acknowledged to nobody."""
        self._cut()
        self.publish(missed)
        self.let_time_pass(count=0, moments=moments, heard=False)
        self._connect()

    @rule(how=_STORES)
    def let_the_store(self, how: str) -> None:
        """Fail in one of its ways, or work, from now on: also over restarts of ingest."""
        self.trouble = how
        self._trouble(self.parts.store)

    @rule(full=_FULL)
    def fill_or_free_the_disk(self, full: set[str]) -> None:
        self.disk.full = {self.folder / name for name in full}

    @rule(missed=_LEVELS, torn=st.integers(0, 80))
    def crash(self, missed: list[int], torn: int) -> None:
        """Process and machine go at once; a record is cut short where it was being written."""
        self._end()
        self.disk.crash(encode_record(b"m,device=a,site=s seq=9i 1\n", (0, 1, 0))[:torn])
        self.publish(missed)
        self._start()

    @rule(missed=_LEVELS)
    def terminate(self, missed: list[int]) -> None:
        """In order: what is held is made durable and acknowledged, as far as there is time."""
        self.loop.run_until_complete(self._drain(self.parts))
        if self.link is not None:
            self.link.hear()
        self._end()
        self.publish(missed)
        self._start()

    # What must always be true.

    @invariant()
    def the_books_balance(self) -> None:
        assert self.parts.tally.balance == 0
        assert not any(task.done() for task in self.tasks), "a part has ended"

    @invariant()
    def what_was_acknowledged_is_kept(self) -> None:
        # Whatever moves is there before it is gone here: so here first.
        kept = set(self._spooled()) | set(self._quarantined()) | set(self._stored())
        lost = self.broker.acknowledged - kept - self.broker.holds()
        assert not lost, f"acknowledged and gone: {sorted(lost)}"

    def teardown(self) -> None:
        try:
            self._calm_down()
            self.the_books_balance()
            self.what_was_acknowledged_is_kept()
            self._everything_is_where_it_belongs()
        finally:
            self._end()
            self.loop.close()
            self.reader.close()
            self.resources.close()

    def _everything_is_where_it_belongs(self) -> None:
        stored, quarantined = self._stored(), self._quarantined()
        for number, qos, _payload in self.published:
            if is_poison(number) or is_refused(number):
                assert stored[number] == 0
                assert quarantined[number] >= 1 or qos == 0, f"{number} is not in quarantine"
            else:
                assert stored[number] == 1 or (qos == 0 and stored[number] == 0), number
                assert quarantined[number] == 0, f"{number} is in quarantine"

    # How it is done.

    def _start(self) -> None:
        self.unreleased = Unreleased()
        self.parts = Parts(self.folder, **_SMALL_LIMITS)
        self.parts.store.refuses = lambda one: one.seq is not None and is_refused(one.seq)
        self._trouble(self.parts.store)
        self.parts.spooling.open()
        parts = (self.parts.pipeline, self.parts.spooling, self.parts.quarantining)
        self.tasks = [self.loop.create_task(part.run()) for part in parts]
        self._connect()

    def _connect(self) -> None:
        self.link = Link(self.broker, self.parts.intake, self.unreleased)

    def _cut(self) -> None:
        if self.link is not None:
            self.link.cut()
        self.link = None
        self.broker.waiting = [one for one in self.broker.waiting if one.qos]

    def _trouble(self, store: FailingStore) -> None:
        store.failure = _FAILURES[self.trouble]
        store.late_failure = StoreUnavailable("500") if self.trouble == "fail late" else None
        if self.trouble == "be silent":
            store.answers.clear()
        else:
            store.answers.set()

    def _calm_down(self) -> None:
        """Mend everything, and wait until nothing is on its way any more."""
        self.disk.full.clear()
        self.let_the_store("work")
        end_s = time.monotonic() + _CALM_SECONDS
        while not self._is_calm():
            self.the_books_balance()
            assert time.monotonic() < end_s, "it is stuck"
            self.loop.run_until_complete(asyncio.sleep(_MOMENT_SECONDS))

    def _is_calm(self) -> bool:
        assert self.link is not None
        while self.link.deliver(self.now_ms):
            pass
        self.link.hear()
        tally = self.parts.tally
        return not (self.broker.holds() or tally.in_flight or tally.spooled)

    async def _drain(self, parts: Parts) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(parts.settings.stop_seconds):
                await parts.pipeline.drain()
                await parts.quarantining.drained()

    def _end(self) -> None:
        """Drop everything as it is; what a thread has begun ends, and nobody hears of it."""
        self._cut()
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
        self.parts.store.answers.set()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.loop = asyncio.new_event_loop()
        self.parts.writer.close()
        self.parts.spooling.close()

    def _spooled(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for content in self.disk.durable(self.folder / "spool", ".lp"):
            found += numbers(content)
        return found

    def _quarantined(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for content in self.disk.durable(self.folder / "quarantine", ".jsonl"):
            for record in self._records(content):
                found += numbers(record.payload)
        return found

    def _records(self, content: bytes) -> list[QuarantineRecord]:
        path = self.root / "copy"
        path.write_bytes(content)
        return list(read_segment(path))

    def _stored(self) -> Counter[int]:
        everything = Selection(start_ms=0, stop_ms=2**62)
        kept = self.reader.readings(everything, limit=100_000)
        return Counter(one.seq for one in kept if one.seq is not None)


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    max_examples=_EXAMPLES or 30,
    stateful_step_count=50,
    deadline=None,
    derandomize=not _EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
)
