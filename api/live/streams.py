"""The streams: how many there may be, and what each one sends from its beginning to its end."""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from api.drain import Drain
from api.live.catching_up import CatchingUp
from api.live.events import (
    EndEvent,
    EndReason,
    Wanted,
    event_text,
    id_line,
    status_event,
)
from api.live.figures import LiveFigures
from api.live.hub import Hub
from api.live.reader import Debt, Reader
from api.problems import Problem
from api.questions import Questions, now_ms
from api.settings import ApiSettings
from api.status_board import DeviceStatus, StatusBoard
from telemetry import log
from telemetry.store import StoreError

_RETRY_AFTER_SECONDS = 5
_FEED_WITHIN_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 1.0
_RETRY_MS = (500, 3_000)
_ALIVE = b": alive\n\n"

_WORDS: dict[EndReason, str] = {
    "slow": "Events came faster than they were read; go on from the last id.",
    "stopping": "This replica stops; another one goes on from the last id.",
    "key": "The key is not in force any more.",
}

_log = log.get(__name__)


class TooManyStreams(Problem):
    """Raised when no further stream may be opened now."""

    def __init__(self, most: int) -> None:
        super().__init__(
            429,
            f"There are {most} streams already, as many as may be.",
            name="too-many-streams",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )


class Streams:
    """All streams of one API."""

    def __init__(
        self,
        settings: ApiSettings,
        questions: Questions,
        board: StatusBoard,
        drain: Drain,
    ) -> None:
        self.figures = LiveFigures()
        self.hub = Hub(self.figures)
        self.drain = drain
        self.board = board
        self.catching_up = CatchingUp(settings, questions, self.figures)
        self.settings = settings
        self._lock = threading.Lock()
        board.listener = self._hear_status

    def start(self, keep_feed: Callable[[], None]) -> None:
        """Begin to hand on what is heard; `keep_feed` is called now and then, on one thread."""

        def mind() -> None:
            keep_feed()
            self._end_if_stopping()

        self.hub.mind = mind
        self.hub.start()

    def open(
        self, wanted: Wanted, since_ms: int | None, is_allowed: Callable[[], bool]
    ) -> "Stream":
        """Return a stream that goes on from a time, or begins now; raises TooManyStreams."""
        with self._lock:
            if self.figures.open_streams >= self.settings.max_streams:
                self.figures.count("streams_refused")
                raise TooManyStreams(self.settings.max_streams)
            self.figures.open_streams += 1
        self.figures.count("streams_opened")
        return Stream(self, wanted, since_ms, is_allowed)

    def close(self, reader: Reader) -> None:
        """Forget a reader whose stream has ended."""
        self.hub.leave(reader)
        with self._lock:
            self.figures.open_streams -= 1

    def _end_if_stopping(self) -> None:
        if self.drain.has_begun:
            for reader in self.hub.readers():
                reader.stop("stopping")

    def _hear_status(self, status: DeviceStatus, *, forgotten: bool) -> None:
        if self.figures.open_streams:
            self.hub.hear([status_event(status, forgotten=forgotten)])


class Stream:
    """The body of one answer; `close` is called in any case, also where it was never begun."""

    def __init__(
        self,
        streams: Streams,
        wanted: Wanted,
        since_ms: int | None,
        is_allowed: Callable[[], bool],
    ) -> None:
        settings = streams.settings
        self.reader = Reader(
            wanted,
            most_bytes=settings.stream_queue_bytes,
            most_events=settings.stream_queue_events,
        )
        self._streams = streams
        self._hub = streams.hub
        self._wanted = wanted
        self._since_ms = since_ms
        self._is_allowed = is_allowed
        self._heartbeat_seconds = settings.stream_heartbeat_seconds
        self._look_at_s = 0.0
        self._is_closed = False
        self._texts = self._run()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._texts)

    def close(self) -> None:
        """End it; whoever reads has gone, or has heard its last word."""
        if not self._is_closed:
            self._is_closed = True
            self._texts.close()
            self._streams.close(self.reader)

    def _run(self) -> Generator[bytes]:
        retry_ms = random.randint(*_RETRY_MS)  # noqa: S311 - so that not all come back at once
        yield b"retry: %d\n\n" % retry_ms
        if self._streams.drain.has_begun:
            # A status of 503 would make a browser's EventSource give up for good.
            yield self._last_word("stopping")
            return
        yield from self._begin()
        spoke_s = time.monotonic()
        while True:
            text = self.reader.take(self._patience_seconds(spoke_s))
            if text:
                yield text
            if self.reader.end is not None:
                yield self._last_word(self.reader.end)
                return
            if self._is_to_look():
                yield from self._look()
            elif not text and time.monotonic() - spoke_s >= self._heartbeat_seconds:
                if not self._is_allowed():
                    self.reader.stop("key")
                    continue
                yield self._heartbeat()
            else:
                spoke_s = time.monotonic() if text else spoke_s
                continue
            spoke_s = time.monotonic()

    def _begin(self) -> Iterator[bytes]:
        """Join the hub, and tell where the stream begins."""
        if self._wanted.readings:
            self._hub.await_feed(_FEED_WITHIN_SECONDS)
        joined_ms = self._hub.join(self.reader)
        begin_ms = joined_ms if self._since_ms is None else min(self._since_ms, joined_ms)
        if self._since_ms is not None and self._wanted.readings:
            self.reader.owe(begin_ms)
        yield id_line(begin_ms) + event_text("feed", self._hub.feed)
        if self._since_ms is not None and self._wanted.kinds != "readings":
            yield self._statuses_since(begin_ms)

    def _statuses_since(self, since_ms: int) -> bytes:
        changed_ms = since_ms - round(self._streams.settings.stream_overlap_seconds * 1_000)
        events = [
            status_event(status)
            for status in self._streams.board.all().values()
            if status.since_ms is None or status.since_ms >= changed_ms
        ]
        return b"".join([event.text for event in events if self._wanted.takes(event)])

    def _patience_seconds(self, spoke_s: float) -> float:
        patience = max(0.0, spoke_s + self._heartbeat_seconds - time.monotonic())
        if self.reader.debt is not None:
            patience = min(patience, max(0.0, self._look_at_s - time.monotonic()))
        return patience

    def _is_to_look(self) -> bool:
        return self.reader.debt is not None and time.monotonic() >= self._look_at_s

    def _look(self) -> Iterator[bytes]:
        """Look for what is owed, and meanwhile send what is heard."""
        debt, began_ms = self.reader.debt, now_ms()
        self._look_at_s = time.monotonic() + self._streams.settings.stream_overlap_seconds
        if debt is None:
            return
        try:
            is_last = self._is_last_look(debt)
            with closing(self._streams.catching_up.look(self._wanted, debt.since_ms)) as texts:
                for text in texts:
                    yield text + self.reader.take(0)
        except (StoreError, Problem) as error:
            self._streams.figures.count("catch_up_failures")
            _log.info("a stream could not catch up yet", reason=str(error))
            self._look_at_s = time.monotonic() + _LOOK_AGAIN_SECONDS
            return
        self.reader.settle(debt, None if is_last else began_ms)

    def _is_last_look(self, debt: Debt) -> bool:
        live_since_ms = self._hub.live_since_ms
        if live_since_ms is None:
            return False
        return self._streams.catching_up.is_last(max(live_since_ms, debt.noted_ms))

    def _heartbeat(self) -> bytes:
        # In this order: what was heard until then is either in the queue or not wanted.
        position_ms = self._hub.position_ms
        text = self.reader.take(0)
        if text or self.reader.debt is not None:
            return text or _ALIVE
        return id_line(position_ms) + _ALIVE

    def _last_word(self, reason: EndReason) -> bytes:
        return event_text("end", EndEvent(reason, _WORDS[reason]))
