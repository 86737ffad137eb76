"""A reader of the API's stream, over a connection of its own."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from stack.services import Service
from tests.eventually import eventually


class Heard(Struct):
    """One event; `id` is the last id that was told until then, as a browser has it."""

    kind: str
    data: Any
    id: str | None


class StreamRefused(Exception):
    """Raised when no stream is opened: the status and the body of the answer."""


class Listener:
    """Collects the events of one stream until it ends or is closed."""

    def __init__(self, api: Service, last_id: str | None = None, **wanted: str) -> None:
        self.heard: list[Heard] = []
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_id: str | None = None
        self.has_ended = False
        self._connection = http.client.HTTPConnection(api.host, api.port, timeout=60)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self._connection.request("GET", f"/v1/stream?{urlencode(wanted)}", headers=headers)
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            refusal = self._response.read()
            self._connection.close()
            raise StreamRefused(self._response.status, refusal)
        self.headers = self._response.headers
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def of(self, kind: str) -> list[Any]:
        """The data of all events of a kind."""
        return [one.data for one in self.heard if one.kind == kind]

    def seqs(self) -> list[int]:
        """The sequence numbers of the readings, in the order in which they came."""
        return [one["seq"] for one in self.of("reading")]

    def await_live(self) -> None:
        """Return when readings are heard from the broker."""
        eventually(lambda: [one["live"] for one in self.of("feed")][-1:] == [True], what="the feed")

    def close(self) -> None:
        """Go away without a word."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        self._thread.join(10)
        self._connection.close()

    def _read(self) -> None:
        event: dict[str, str] = {}
        try:
            for raw in self._response:
                line = raw.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    event[name or "comment"] = value
                else:
                    self._take(event)
                    event = {}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # we went, or were thrown out
        self.has_ended = True

    def _take(self, event: dict[str, str]) -> None:
        self.last_id = event.get("id", self.last_id)
        self.comments += "comment" in event
        if "retry" in event:
            self.retry_ms = int(event["retry"])
        if "data" in event:
            data = msgspec.json.decode(event["data"])
            self.heard.append(Heard(event["event"], data, self.last_id))


@contextmanager
def listening(api: Service, last_id: str | None = None, **wanted: str) -> Iterator[Listener]:
    """A reader meanwhile."""
    listener = Listener(api, last_id, **wanted)
    try:
        yield listener
    finally:
        listener.close()
