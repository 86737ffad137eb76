"""A live stream: events as they happen, begun again wherever it was cut."""

import http.client
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from telemetry.client.errors import NotUnderstood, Problem, Unreachable
from telemetry.client.events import End, Event, EventReader
from telemetry.client.patience import Patience
from telemetry.client.transport import Opened, Request, Transport

EVENTS = "text/event-stream"

_READ_BYTES = 65_536
# Those of a proxy whose API is away for a moment are among them.
_PASSING = frozenset({429, 500, 502, 503, 504})


class Stream:
    """Events of `/v1/stream`, one by one; iterate over it in one thread, and close it in any.

    A connection that is lost, silent or ended by the API is opened anew, from the last id on, for
    as long as it takes: what is stored comes, some of it perhaps twice. The first one is opened at
    once, so that whoever may not listen hears of it.
    """

    def __init__(
        self,
        transport: Transport,
        parameters: Mapping[str, str],
        *,
        last_event_id: str | None,
        silence_seconds: float,
    ) -> None:
        self.last_event_id = last_event_id
        """Where a later stream can go on: all before it was yielded."""
        self.reconnects = 0
        """How often the connection was opened again."""
        self._transport = transport
        headers = {"Accept": EVENTS, "Cache-Control": "no-store"}
        self._request = Request(
            "/v1/stream", parameters, headers=headers, timeout_seconds=silence_seconds
        )
        self._retry_seconds = 1.0
        self._closing = threading.Event()
        self._opened = self._checked(transport.open(self._resuming()))
        self._events = self._run()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """End it; whoever waits for the next event is told that there is none."""
        self._closing.set()
        self._opened.hang_up()

    def _run(self) -> Iterator[Event]:
        try:
            while not self._closing.is_set():
                yield from self._of_connection(self._opened)
                self._opened.hang_up()
                self._reopen()
        finally:
            self._opened.hang_up()

    def _of_connection(self, opened: Opened) -> Iterator[Event]:
        reader = EventReader(self.last_event_id)
        while part := _read(opened):
            told = reader.read(part)
            self._retry_seconds = reader.retry_seconds or self._retry_seconds
            for one in told:
                if isinstance(one.event, End):
                    return
                self.last_event_id = one.last_id
                if one.event is not None:
                    yield one.event

    def _reopen(self) -> None:
        patience, pause = Patience(None), self._retry_seconds
        while not self._closing.wait(pause):
            try:
                self._opened = self._checked(self._transport.open_once(self._resuming()))
            except Unreachable:
                least_seconds = 0.0
            except Problem as error:
                if error.status not in _PASSING:
                    raise
                least_seconds = error.retry_after_seconds or 0.0
            else:
                self.reconnects += 1
                return
            pause = patience.pause_seconds(least_seconds) or pause

    def _resuming(self) -> Request:
        if self.last_event_id is None:
            return self._request
        headers = {**self._request.headers, "Last-Event-ID": self.last_event_id}
        return replace(self._request, headers=headers)

    @staticmethod
    def _checked(opened: Opened) -> Opened:
        content_type = opened.response.headers.get_content_type()
        if content_type != EVENTS:
            opened.hang_up()
            raise NotUnderstood(f"/v1/stream answers {content_type}: is this the API?")
        return opened


def _read(opened: Opened) -> bytes:
    try:
        return opened.response.read1(_READ_BYTES)
    except (OSError, http.client.HTTPException):
        return b""
    except (ValueError, AttributeError):
        return b""  # http.client's words for an answer that another thread has closed
