"""Carries parcels through one lane, and sends again what has no answer when that breaks."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from bench.compare.corpus import Parcel
from bench.compare.lanes import Lane, LaneLost

_PAUSE_SECONDS = 0.1


class Carrying:
    """One lane, what is due on it, and a supply from which it takes more whenever it is idle."""

    def __init__(self, lane: Lane, supply: Iterable[Parcel] = ()) -> None:
        self.lane = lane
        self.settled: list[Parcel] = []
        self.reopened = 0
        self._supply: Iterator[Parcel] = iter(supply)
        self._waiting: deque[Parcel] = deque()
        self._in_flight: deque[tuple[list[Parcel], asyncio.Task[None]]] = deque()
        self._news = asyncio.Event()
        self._dry = asyncio.Event()
        self._is_complete = False
        self._not_before_s = 0.0

    @property
    def unfinished(self) -> list[Parcel]:
        """What is not known to be safe."""
        return [*self._waiting, *(one for batch, _task in self._in_flight for one in batch)]

    def add(self, parcels: Iterable[Parcel]) -> None:
        """Let these be sent as well."""
        if not self._waiting and self.lane.gather_seconds:
            self._not_before_s = asyncio.get_running_loop().time() + self.lane.gather_seconds
        self._waiting.extend(parcels)
        self._news.set()

    def complete(self) -> None:
        """Take nothing more from the supply; `run` ends once all is safe."""
        self._supply = iter(())
        self._is_complete = True
        self._news.set()

    async def run(self) -> None:
        """Carry, over as many connections as it takes; the first one is open already."""
        while True:
            try:
                return await self._carry()
            except LaneLost:
                await self._reopen()

    async def until_supplied(self) -> None:
        """Wait until the supply is used up."""
        await self._dry.wait()

    async def _carry(self) -> None:
        while True:
            self._news.clear()
            self._harvest()
            self._send_waiting()
            if self._is_complete and not self._waiting and not self._in_flight:
                return
            await self._wait()

    def _harvest(self) -> None:
        """Settle what has been answered; raise LaneLost where something never will be."""
        answered = [one for one in self._in_flight if one[1].done()]
        for batch, task in answered:
            task.result()
            self._in_flight.remove((batch, task))
            self.settled.extend(batch)

    def _send_waiting(self) -> None:
        while len(self._in_flight) < self.lane.batches_in_flight and not self._gathers():
            batch = self._batch()
            if not batch:
                return
            task = asyncio.ensure_future(self.lane.send([one.payload for one in batch]))
            task.add_done_callback(lambda _task: self._news.set())
            self._in_flight.append((batch, task))

    def _gathers(self) -> bool:
        left_s = self._not_before_s - asyncio.get_running_loop().time()
        return bool(self._waiting) and left_s > 0 and not self._is_complete

    def _batch(self) -> list[Parcel]:
        batch: list[Parcel] = []
        size = 0
        if len(self._waiting) < self.lane.batch_payloads:
            self._waiting.extend(islice(self._supply, self.lane.batch_payloads))
            if not self._waiting:
                self._dry.set()
        while (
            self._waiting and len(batch) < self.lane.batch_payloads and size < self.lane.batch_bytes
        ):
            batch.append(self._waiting.popleft())
            size += len(batch[-1].payload)
        return batch

    async def _wait(self) -> None:
        left_s = self._not_before_s - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s if self._gathers() else None):
                await self._news.wait()

    async def _reopen(self) -> None:
        unanswered = sorted(self._in_flight, key=lambda one: (one[0][0].first, one[0][0].device))
        for _batch, task in unanswered:
            task.cancel()
        await asyncio.gather(*(task for _batch, task in unanswered), return_exceptions=True)
        in_order = [one for batch, _task in unanswered for one in batch]
        self._waiting.extendleft(reversed(in_order))
        self._in_flight.clear()
        while True:
            await self.lane.close()
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await self.lane.open()
            except LaneLost:
                continue
            self.reopened += 1
            return
