"""Leaving for good: what the broker and the spool hold for one ingest is drained, then both end.

The broker deals a share of all messages to each member of a group, present or not. Scaling down is
therefore another word than stopping, and it is this one.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ingest.service import IngestService
from ingest.sources.folder.claims_of_others import release

_POLL_SECONDS = 0.05
_SAY_SECONDS = 5.0

Say = Callable[[str], None]


class Departure:
    """One ingest's leave, step by step; `say` hears a line for each."""

    def __init__(self, service: IngestService, *, quiet_seconds: float, say: Say) -> None:
        self._service = service
        self._quiet_seconds = quiet_seconds
        self._say = say
        self._said_s = 0.0

    async def leave(self, hand_to: Path | None) -> None:
        """Take the session over, drain it, end it, and empty the spool or hand it on.

        Raises SpoolInUse where the ingest that is to leave still runs.
        """
        service = self._service
        async with service.working():
            if service.settings.mqtt:
                await self._drain_session()
            await self._until(lambda: hand_to is not None or not service.tally.spooled, self._spool)
            await service.drain()
        await self._release_claims()
        if hand_to is not None:
            moved = await asyncio.to_thread(service.spool.hand_on, hand_to)
            self._say(f"handed the spool to {hand_to}: {moved:,} readings")

    async def _drain_session(self) -> None:
        source, tally = self._service.mqtt, self._service.tally
        await self._until(lambda: source.problem is None, lambda: f"broker: {source.problem}")
        self._say("took the session over and unsubscribed; what the broker holds for it comes now")
        began_s = time.monotonic()

        def is_quiet() -> bool:
            last_s = max(source.last_message_s, began_s)
            quiet = time.monotonic() - last_s >= self._quiet_seconds
            return quiet and source.problem is None and not tally.in_flight

        await self._until(is_quiet, lambda: f"{sum(tally.received):,} readings came so far")
        # That nothing came may be the link's fault, and the session would end with what it holds.
        while not (await source.is_drained() and is_quiet() and await source.end_session()):
            await asyncio.sleep(_POLL_SECONDS)
            await self._until(is_quiet, lambda: f"broker: {source.problem}")
        self._say(f"the session has ended; {sum(tally.received):,} readings came out of it")

    async def _release_claims(self) -> None:
        settings = self._service.settings
        if settings.folder:
            folder = Path(settings.folder)
            files = await asyncio.to_thread(release, folder, settings.client_id)
            self._say(f"released {files:,} claimed files in {folder}")

    def _spool(self) -> str:
        return f"{self._service.tally.spooled:,} readings are left in the spool"

    async def _until(self, condition: Callable[[], bool], word: Callable[[], str]) -> None:
        while not condition():
            if time.monotonic() - self._said_s >= _SAY_SECONDS:
                self._said_s = time.monotonic()
                self._say(word())
            await asyncio.sleep(_POLL_SECONDS)
