"""The one way to the store: one call at a time, and after a failure no sooner than it may be.

Batches, replays from the spool, own figures and checks all go through it, so that a store in
trouble sees one caller, whose pace slows down.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ingest.backoff import Backoff
from ingest.tally import Tally
from telemetry import log
from telemetry.blocking import DaemonThread
from telemetry.store import (
    Refused,
    Store,
    StoreError,
    StoreMisconfigured,
    StoreThrottled,
    StoreUnavailable,
)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_LEAST_MISCONFIGURED_SECONDS = 1.0
_CHECKED_LATELY_SECONDS = 2.0
_UNASKED = "it has not answered yet"
_logger = log.get(__name__)

Answer = TypeVar("Answer")


class StoreWriter:
    """Calls the store in a thread of its own; `problem` is what is wrong with it, or None.

    The store is opened there as well, so that nothing waits for the import of its client.
    """

    def __init__(self, open_store: Callable[[], Store], tally: Tally) -> None:
        self._open_store = open_store
        self._store: Store | None = None
        self._tally = tally
        self._thread = DaemonThread("store writer")
        self._turn = asyncio.Lock()
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._not_before_s = 0.0
        self._away_since_s: float | None = None
        self._called_s = -math.inf
        self._failure: StoreError | None = None
        self._check_problem: str | None = _UNASKED

    @property
    def problem(self) -> str | None:
        """What the store answered last, where that was no success; none until it answers."""
        return str(self._failure) if self._failure is not None else self._check_problem

    @property
    def away_seconds(self) -> float:
        """For how long no write has succeeded; 0 while they do."""
        return 0.0 if self._away_since_s is None else time.monotonic() - self._away_since_s

    async def write(
        self, lines: Sequence[bytes], *, divisible: bool = False, give_up_at_s: float = math.inf
    ) -> list[Refused]:
        """Store readings' lines when it is their turn; return those that the store will never take.

        Parts of them may be written at once where they are `divisible`.

        Raises StoreError after a try that failed. Also, without a try, where the turn does not come
        until `give_up_at_s` (of `time.monotonic`): then it is the failure of the last one.
        """
        await self._wait_for_pace(give_up_at_s)
        async with self._turn:
            # Whoever had the turn before may have failed meanwhile.
            if self._failure is not None and self._pause_seconds > 0:
                raise self._failure_again()
            began_s = time.monotonic()
            try:
                refused = await self._call(
                    lambda store: store.write_lines(lines, divisible=divisible)
                )
            except StoreError as error:
                self._note_failure(error, began_s)
                raise
            self._note_success()
            self._tally.write_seconds += time.monotonic() - began_s
            return refused

    async def check(self) -> None:
        """Ask the store whether it would answer, unless a write has just shown that."""
        lately = time.monotonic() - self._called_s < _CHECKED_LATELY_SECONDS
        if lately or self._failure is not None or self._turn.locked():
            return
        async with self._turn:
            try:
                await self._call(lambda store: store.check())
                self._check_problem = None
            except StoreError as error:
                if self._check_problem in (None, _UNASKED):
                    _logger.warning("the store does not answer its check", problem=str(error))
                self._check_problem = str(error)

    def close(self) -> None:
        """Let the store go; a call that still waits for it is left to end alone."""
        self._thread.close()
        if self._store is not None:
            self._store.close()

    @property
    def _pause_seconds(self) -> float:
        return self._not_before_s - time.monotonic()

    async def _wait_for_pace(self, give_up_at_s: float) -> None:
        while self._failure is not None and self._pause_seconds > 0:
            left_seconds = give_up_at_s - time.monotonic()
            if left_seconds <= 0:
                raise self._failure_again()
            await asyncio.sleep(min(self._pause_seconds, left_seconds))

    def _failure_again(self) -> StoreError:
        """Return the last failure to be raised once more, without what it gathered when it was.

        It would hold on to each caller, and to the batch of each, for as long as the store is away.
        """
        assert self._failure is not None
        return self._failure.with_traceback(None)

    async def _call(self, ask: Callable[[Store], Answer]) -> Answer:
        self._called_s = time.monotonic()
        try:
            return await self._thread.call(lambda: ask(self._opened()))
        except StoreError:
            raise
        except Exception as error:
            # Whatever it is, what is held is safe as long as we go on; ended, we would begin again.
            _logger.exception("the store failed in a way that it should not")
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _note_success(self) -> None:
        if self._failure is not None:
            _logger.info("the store takes readings again", away_seconds=round(self.away_seconds, 1))
        self._failure = self._check_problem = self._away_since_s = None
        self._backoff.reset()

    def _note_failure(self, error: StoreError, began_s: float) -> None:
        self._tally.write_retries += 1
        if isinstance(error, StoreMisconfigured):
            self._tally.store_refusals += 1
        self._log_failure(error)
        if self._away_since_s is None:
            self._away_since_s = began_s
        self._failure = error
        self._not_before_s = time.monotonic() + self._next_pause_seconds(error)

    def _next_pause_seconds(self, error: StoreError) -> float:
        pause = self._backoff.next_seconds()
        if isinstance(error, StoreThrottled):
            # Longer than asked, never shorter, so that replicas do not return at one moment.
            return max(pause, error.retry_after_seconds * random.uniform(1.0, 1.1))  # noqa: S311
        if isinstance(error, StoreMisconfigured):
            return max(pause, _LEAST_MISCONFIGURED_SECONDS)
        return pause

    def _log_failure(self, error: StoreError) -> None:
        if isinstance(error, StoreMisconfigured):
            if not isinstance(self._failure, StoreMisconfigured):
                _logger.error("the store refuses everything", problem=str(error))
        elif self._failure is None:
            _logger.warning("the store is away; readings are held", problem=str(error))
