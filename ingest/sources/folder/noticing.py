"""Noticing that something is new in a folder: the kernel tells, or it is time to look."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

from telemetry import log

LOOK_SECONDS = 1.0  # at the latest, whatever the kernel tells: it forgets a folder that is mounted
_STEP_MS = 10
_logger = log.get(__name__)


class Noticing:
    """Sets `noticed` when something may be new; with `poll_ms` by the clock alone."""

    def __init__(self, folder: Path, poll_ms: int) -> None:
        self._folder = folder
        self._poll_seconds = poll_ms / 1000
        self._told = False
        self.noticed = asyncio.Event()

    async def run(self) -> None:
        """Notice until cancelled."""
        while not self._poll_seconds:
            try:
                await self._watch()
            except (OSError, RuntimeError) as error:
                # It wraps most of the kernel's refusals in an error of its own, a RuntimeError.
                self._tell(str(error))
            await self._pause(LOOK_SECONDS)
        while True:
            await self._pause(self._poll_seconds)

    async def _watch(self) -> None:
        """Let the kernel tell, for as long as the same folder stands at the path."""
        watched = await asyncio.to_thread(os.stat, self._folder)
        changes = awatch(
            self._folder,
            watch_filter=None,
            recursive=False,
            step=_STEP_MS,
            debounce=_STEP_MS,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            async for changed in changes:
                self.noticed.set()
                if not changed:
                    now = await asyncio.to_thread(os.stat, self._folder)
                    if not os.path.samestat(watched, now):
                        return

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.noticed.set()

    def _tell(self, why: str) -> None:
        """Say once that the folder is only looked at by the clock."""
        if not self._told:
            self._told = True
            _logger.warning("the folder is looked at every second only", why=why)
