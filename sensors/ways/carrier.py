"""Carries what waits in outboxes through one channel, and opens that again when it is lost.

Of a process's devices each has a carrier, or all share one: then a batch takes from each in turn.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from msgspec import Struct

from sensors.backoff import Backoff, wait_seconds
from sensors.counters import Counters
from sensors.message import Message
from sensors.ways.channel import Answer, Channel, Rejection
from sensors.ways.failures import ConnectFailed, NotNow, Refused, WayFailure
from telemetry.rarelog import RareLog

_CLOSE_SECONDS = 2.0


class Parcel(Struct, frozen=True, gc=False):
    """A message as it leaves, and its number in its owner's outbox; 0 where nobody keeps it."""

    owner: "Owner"
    number: int
    message: Message
    payload: bytes


class Owner(Protocol):
    """Whose messages are carried."""

    in_line: bool
    """The carrier's own mark."""

    def came(self) -> None:
        """Learn that there is a connection."""
        ...

    def went(self) -> None:
        """Learn that there is none any more; what was sent has been returned before."""
        ...

    def next_parcel(self, most_bytes: int) -> Parcel | None:
        """Return what leaves next, None where nothing waits."""
        ...

    def arrived(self, parcel: Parcel) -> None:
        """Learn that a message is safe."""
        ...

    def rejected(self, parcel: Parcel, rejections: Sequence[Rejection]) -> None:
        """Learn that a message is safe, with some of it in quarantine."""
        ...

    def refused(self, parcel: Parcel, why: str) -> None:
        """Learn that a message is never taken."""
        ...

    def returned(self, parcels: Sequence[Parcel]) -> None:
        """Take messages back that have no answer."""
        ...


class Opening(Struct, frozen=True):
    """How patiently the channels of a process are opened, and how many at a time."""

    timeout_seconds: float
    turn: asyncio.Semaphore


class Carrier:
    """Empties the outboxes of those that have joined it."""

    __slots__ = (
        "_backoff", "_batches", "_channel", "_counters", "_ended", "_leaving", "_line", "_log",
        "_lost", "_name", "_opening", "_owners", "_put_off", "_refusals", "_restarting",
    )  # fmt: skip

    def __init__(
        self, name: str, channel: Channel, opening: Opening, counters: Counters, log: RareLog
    ) -> None:
        self._name = name
        self._channel = channel
        self._opening = opening
        self._counters = counters
        self._log = log
        self._backoff = Backoff()
        self._owners: dict[Owner, None] = {}
        self._line: deque[Owner] = deque()
        self._batches: set[asyncio.Future[Answer]] = set()
        # Nothing leaves before it: a pause, or the time in which a batch gathers.
        self._put_off: asyncio.TimerHandle | None = None
        self._refusals = 0
        self._lost: asyncio.Future[str] | None = None
        self._ended: asyncio.Event | None = None
        self._restarting = False
        self._leaving = False

    @property
    def connected(self) -> bool:
        """Whether something can leave."""
        return self._lost is not None and not self._lost.done()

    async def keep_open(self, owner: Owner) -> None:
        """Carry for one more; until all have left, or it is cancelled.

        The first one's call opens the channel whenever that is to be done, for all of them.
        """
        self._owners[owner] = None
        if self._ended is not None:
            if self.connected:
                owner.came()
            await self._ended.wait()
            return
        self._ended = asyncio.Event()
        try:
            await self._keep_open()
        finally:
            self._ended.set()

    def wants(self, owner: Owner) -> None:
        """Let an owner that has something stand in line."""
        if not owner.in_line:
            owner.in_line = True
            self._line.append(owner)
        if self._put_off is not None or not self.connected:
            return
        gather_seconds = self._channel.bounds.gather_seconds
        if gather_seconds:
            self._wait(gather_seconds)
        else:
            self._send_waiting()

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and come back after so long."""
        self._backoff.stay_away(away_seconds)
        if self.connected:
            self._channel.abort()
            self._lose("closed")

    def restart(self) -> None:
        """Break the connection without a word, as a device does that boots."""
        if self.connected:
            self._restarting = True
            self._channel.abort()
            self._lose("closed")

    async def leave(self, owner: Owner) -> None:
        """Carry for one less; the last one closes the channel."""
        joined = owner in self._owners
        self._owners.pop(owner, None)
        if joined and self.connected:
            owner.went()
        if self._owners:
            return
        self._leaving = True
        if self.connected and self._ended is not None:
            self._lose("left")
            await self._ended.wait()

    async def _keep_open(self) -> None:
        while not self._leaving:
            try:
                await self._open()
            except ConnectFailed as failure:
                self._failed(failure)
                self._backoff.failed()
            else:
                self._backoff.lost(await self._stay())
            if not self._leaving:
                await asyncio.sleep(self._backoff.next_wait_seconds())

    async def _open(self) -> None:
        seconds = self._opening.timeout_seconds
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            async with self._opening.turn, asyncio.timeout(seconds):
                await self._channel.open(partial(_tell, lost))
        except TimeoutError as error:
            await self._close()
            raise ConnectFailed("timeout", f"no answer in {seconds:g} s") from error
        except BaseException:
            await self._close()
            raise
        self._lost = lost

    async def _stay(self) -> float:
        """Use the channel until it is lost; return for how many seconds it lasted."""
        assert self._lost is not None
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        self._counters.connects += 1
        for owner in list(self._owners):
            owner.came()
        try:
            why = await self._lost
        finally:
            self._lost = None
            await self._close()
            for owner in list(self._owners):
                owner.went()
        if self._restarting:
            self._restarting = False
        elif not self._leaving:
            self._counters.lost_connections += 1
            self._log.warning("connection lost", device=self._name, why=why)
        return loop.time() - begun_s

    async def _close(self) -> None:
        if self._put_off is not None:
            self._put_off.cancel()
            self._put_off = None
        with suppress(TimeoutError, WayFailure):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._channel.close()
        unanswered = list(self._batches)
        for batch in unanswered:
            batch.cancel()
        # So that all of it is back in the outboxes before the next connection.
        await asyncio.gather(*unanswered, return_exceptions=True)

    def _lose(self, why: str) -> None:
        if self._lost is not None:
            _tell(self._lost, why)

    def _failed(self, failure: ConnectFailed) -> None:
        self._counters.connect_failures[failure.reason] += 1
        needs_person = failure.reason in ("refused", "untrusted")
        say = self._log.error if needs_person else self._log.warning
        say("cannot connect", device=self._name, why=str(failure))

    def _wait(self, seconds: float) -> None:
        if self._put_off is not None:
            self._put_off.cancel()
        self._put_off = asyncio.get_running_loop().call_later(seconds, self._waited)

    def _waited(self) -> None:
        self._put_off = None
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._line and self.connected:
            if len(self._batches) >= self._channel.bounds.batches_in_flight:
                return
            parcels = self._gather()
            if parcels:
                self._send(parcels)

    def _gather(self) -> list[Parcel]:
        bounds, line = self._channel.bounds, self._line
        parcels: list[Parcel] = []
        size = 0
        while line and len(parcels) < bounds.batch_payloads and size < bounds.batch_bytes:
            owner = line.popleft()
            parcel = owner.next_parcel(bounds.payload_bytes)
            if parcel is None:
                owner.in_line = False
                continue
            line.append(owner)
            parcels.append(parcel)
            size += len(parcel.payload)
        return parcels

    def _send(self, parcels: list[Parcel]) -> None:
        batch = asyncio.ensure_future(self._channel.send([parcel.payload for parcel in parcels]))
        self._batches.add(batch)
        batch.add_done_callback(partial(self._answered, parcels))

    def _answered(self, parcels: list[Parcel], batch: "asyncio.Future[Answer]") -> None:
        self._batches.discard(batch)
        failure = None if batch.cancelled() else batch.exception()
        if batch.cancelled() or failure is not None:
            if isinstance(failure, Refused):
                refused = parcels.pop(failure.payload)
                refused.owner.refused(refused, str(failure))
            # Before they are back: nothing must leave on a connection that failed.
            self._fail(failure, len(parcels))
            self._give_back(parcels)
        else:
            self._refusals = 0
            self._settle(parcels, batch.result())
        if self._put_off is None:
            self._send_waiting()

    def _fail(self, failure: BaseException | None, messages: int) -> None:
        if isinstance(failure, NotNow):
            self._counters.kept += messages
            self._log.warning("readings are kept for later", device=self._name, why=str(failure))
            after_seconds = failure.after_seconds
            self._wait(wait_seconds(self._refusals) if after_seconds is None else after_seconds)
            self._refusals += 1
        elif isinstance(failure, ConnectFailed):
            self._failed(failure)
            self._lose(str(failure))
        elif failure is not None and not isinstance(failure, Refused):
            self._lose(str(failure) or repr(failure))

    @staticmethod
    def _settle(parcels: list[Parcel], answer: Answer) -> None:
        if not answer.rejected:
            for parcel in parcels:
                parcel.owner.arrived(parcel)
            return
        rejections: dict[int, list[Rejection]] = {}
        for rejection in answer.rejected:
            rejections.setdefault(rejection[0], []).append(Rejection(*rejection))
        for place, parcel in enumerate(parcels):
            if place in rejections:
                parcel.owner.rejected(parcel, rejections[place])
            else:
                parcel.owner.arrived(parcel)

    @staticmethod
    def _give_back(parcels: list[Parcel]) -> None:
        by_owner: dict[Owner, list[Parcel]] = {}
        for parcel in parcels:
            by_owner.setdefault(parcel.owner, []).append(parcel)
        for owner, own in by_owner.items():
            owner.returned(own)


def _tell(lost: "asyncio.Future[str]", why: str) -> None:
    if not lost.done():
        lost.set_result(why)
