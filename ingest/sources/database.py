"""The way in by database records: rows of the inbox are claimed, handed on, and deleted.

Several claims are under way at once, each with its connection; one of them at a time looks for
rows, so that an empty inbox is asked as seldom as by one.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from ingest.backoff import Backoff
from ingest.intake import Intake
from ingest.message import Message, Receipt, Receipts, settle
from ingest.settings import IngestSettings
from ingest.sources import WayName
from ingest.sources.inbox import (
    LOCK_SUFFIX,
    Claim,
    ClaimBounds,
    ClaimedRow,
    Inbox,
    PostgresInbox,
    SqliteInbox,
)
from ingest.tally import Tally
from telemetry import log
from telemetry.blocking import in_daemon_thread
from telemetry.inbox import in_words, open_engine, sqlite_path
from telemetry.settings import Secret, SettingError

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_LOOKS_PER_POLL = 4  # while rows come
_ROWS_AT_ONCE = 100  # handed on before other work of the event loop has its turn
_CLAIMS_OF_WHAT_IS_HELD = 8
_GOODBYE_SECONDS = 2.0
_logger = log.get(__name__)

Answer = TypeVar("Answer")
Step = Literal["claim", "deletion"]


class DatabaseSource:
    """Hands rows to the intake, and deletes them when they are durable.

    Raises SettingError where the address is none.
    """

    way: WayName = "database"

    def __init__(self, settings: IngestSettings, url: Secret, intake: Intake, tally: Tally) -> None:
        self._settings = settings
        self._intake = intake
        self._tally = tally
        self._inbox = _open_inbox(settings, url)
        self._patience_seconds = 2 * settings.database_timeout_seconds
        self._looking = asyncio.Lock()
        self._reading = asyncio.Event()
        self._reading.set()
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        poll_seconds = settings.database_poll_ms / 1000
        self._pauses = Backoff(poll_seconds / _LOOKS_PER_POLL, poll_seconds)
        self._failures = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._look_at_s = 0.0
        self._problems: dict[Step, str] = {"claim": "not asked yet"}

    @property
    def problem(self) -> str | None:
        """What keeps rows from coming, or from going; of the Source protocol."""
        return next(iter(self._problems.values()), None)

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run until it is cancelled, by name."""
        names = [f"database {number}" for number in range(1, self._settings.database_claims + 1)]
        return {name: self._work() for name in names}

    def pause(self) -> None:
        """Take no more rows; those taken are still deleted when they are durable."""
        self._reading.clear()

    async def disconnect(self) -> None:
        """Wait, for a moment, for the deletions, and close the connections.

        What is claimed and not durable then is free for others with the end of the process.
        """
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._idle.wait()
                await in_daemon_thread(self._inbox.close)
        except TimeoutError:
            _logger.warning("the inbox did not answer: rows will come again")

    async def _work(self) -> None:
        while True:
            async with self._looking:
                claim = await self._next_claim()
            with self._finishing():
                await self._delete(claim, await self._hand_over(claim.rows))

    async def _next_claim(self) -> Claim:
        """Look for rows until there are some."""
        while True:
            early_seconds = self._look_at_s - time.monotonic()
            if early_seconds > 0:
                await asyncio.sleep(early_seconds)
                continue  # it may have been put off meanwhile
            await self._intake.room()
            await self._reading.wait()
            is_idle = not self._unfinished
            try:
                claim = await self._ask("claim", self._inbox.claim)
            except (SQLAlchemyError, SettingError, OSError) as error:
                self._note("claim", _in_words(error))
                self._rest(self._failures)
                continue
            self._note("claim", None)
            if claim is None and is_idle:
                # Whatever it was, nothing is left to be deleted: what another one holds meanwhile
                # is not found either.
                self._note("deletion", None)
            self._mind_pace()
            if claim is None:
                self._rest(self._pauses)
                continue
            self._pauses.reset()
            if len(claim.rows) < self._settings.database_rows:
                # A look that finds little costs as much as one that finds more.
                self._rest(self._pauses)
            return claim

    async def _hand_over(self, rows: list[ClaimedRow]) -> list[int]:
        """Hand rows on while there is room; return which ones, when they are durable."""
        durable = asyncio.Event()
        receipts: Receipts[Receipt] = Receipts(lambda _ready: durable.set())
        receipt = receipts.owe(Receipt())
        taken: list[int] = []
        for row in rows:
            if len(taken) % _ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
            await self._intake.room()
            if not self._reading.is_set():
                break
            receipt.pending += 1
            self._accept(row, receipt)
            taken.append(row.id)
        settle([receipt])
        await durable.wait()
        return taken

    def _accept(self, row: ClaimedRow, receipt: Receipt) -> None:
        self._tally.messages_by_way[self.way] += 1
        most = self._settings.payload_bytes
        # The row's own time: one that is taken again is stamped as before.
        message = Message(
            None,
            row.payload[:most],
            1,
            row.received_ms,
            content_type=row.content_type,
            receipt=receipt,
        )
        if row.payload_bytes > most:
            kept = f"of {row.payload_bytes} bytes is too large: this is its beginning"
            self._intake.refuse(message, f"a payload {kept}")
        else:
            self._intake.accept(message)

    async def _delete(self, claim: Claim, ids: list[int]) -> None:
        """Delete rows that are durable, as often as it takes where the claim still holds."""
        failures = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            try:
                await self._ask("deletion", partial(claim.settle, ids))
            except SQLAlchemyError as error:
                self._note("deletion", in_words(error))
                if not claim.is_kept:
                    # They come again, and are stored as once: not at once, and not for ever.
                    self._rest(self._failures)
                    return
                await asyncio.sleep(failures.next_seconds())
            else:
                self._note("deletion", None)
                self._mind_pace()
                self._tally.acknowledged_messages += len(ids)
                return

    async def _ask(self, step: Step, call: Callable[[], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        silent = "the database is silent"
        silence = loop.call_later(self._patience_seconds, self._note, step, silent)
        try:
            with self._finishing():
                return await in_daemon_thread(call)
        finally:
            silence.cancel()

    @contextmanager
    def _finishing(self) -> Iterator[None]:
        """Let a goodbye wait for what is done meanwhile."""
        self._unfinished += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._unfinished -= 1
            if not self._unfinished:
                self._idle.set()

    def _rest(self, pace: Backoff) -> None:
        self._look_at_s = max(self._look_at_s, time.monotonic() + pace.next_seconds())

    def _mind_pace(self) -> None:
        """Forget failures where rows come and go."""
        if not self._problems:
            self._failures.reset()

    def _note(self, step: Step, problem: str | None) -> None:
        if problem is None:
            self._problems.pop(step, None)
            return
        if problem != self._problems.get(step):
            _logger.warning("no rows from the inbox", step=step, problem=problem)
        self._problems[step] = problem


def _open_inbox(settings: IngestSettings, url: Secret) -> Inbox:
    engine = open_engine(
        url,
        "INGEST_DATABASE_URL",
        connections=settings.database_claims,
        timeout_seconds=settings.database_timeout_seconds,
        name=f"denyut {settings.client_id}",
    )
    bounds = ClaimBounds(
        rows=settings.database_rows,
        bytes=max(settings.payload_bytes, settings.held_bytes // _CLAIMS_OF_WHAT_IS_HELD),
        row_bytes=settings.payload_bytes,
    )
    path = sqlite_path(engine.url)
    if path is None:
        return PostgresInbox(engine, bounds)
    return SqliteInbox(engine, bounds, path.with_name(f"{path.name}{LOCK_SUFFIX}"))


def _in_words(error: Exception) -> str:
    return in_words(error) if isinstance(error, SQLAlchemyError) else str(error)
