"""A channel in memory that answers as a test says."""

import asyncio
from collections.abc import Sequence

from sensors.ways.channel import ALL_STORED, Answer, Bounds, Lost
from sensors.ways.failures import ConnectFailed, ConnectionLost


class ScriptedChannel:
    """Notes what is sent; answers at once, or when it is told to."""

    def __init__(self, bounds: Bounds | None = None, *, answers: bool = True) -> None:
        self.bounds = bounds or Bounds(batch_payloads=100, batch_bytes=65_536, batches_in_flight=4)
        self.answers = answers
        self.refuses: list[ConnectFailed] = []
        self.silent = False
        self.opened = 0
        self.closed = 0
        self.aborted = 0
        self.sent: list[list[bytes]] = []
        self.waiting: list[asyncio.Future[Answer]] = []
        self._lost: Lost | None = None

    @property
    def payloads(self) -> list[bytes]:
        return [payload for batch in self.sent for payload in batch]

    async def open(self, lost: Lost) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.refuses:
            raise self.refuses.pop(0)
        self.opened += 1
        self._lost = lost

    def send(self, payloads: Sequence[bytes]) -> "asyncio.Future[Answer]":
        self.sent.append(list(payloads))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        if self.answers:
            self.answer()
        return answer

    def answer(self, answer: Answer = ALL_STORED) -> None:
        """Answer the oldest batch."""
        self.waiting.pop(0).set_result(answer)

    def fail(self, failure: Exception) -> None:
        """Let the oldest batch fail."""
        self.waiting.pop(0).set_exception(failure)

    def lose(self, why: str = "cut") -> None:
        """Break the connection from the other side, with all that has no answer."""
        while self.waiting:
            self.fail(ConnectionLost(why))
        assert self._lost is not None
        self._lost(why)

    async def close(self) -> None:
        self.closed += 1
        self.waiting.clear()

    def abort(self) -> None:
        self.aborted += 1
