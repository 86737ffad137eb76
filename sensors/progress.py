"""One line on a terminal that shows how a run goes; nothing where nobody watches."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.status import Status

from sensors.service import FleetRun

_REFRESH_SECONDS = 0.25


@asynccontextmanager
async def progress_line(run: FleetRun, duration_seconds: float | None) -> AsyncIterator[None]:
    """Show the line, on standard error, while the block runs."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status("") as status:
        task = asyncio.create_task(_refresh(run, duration_seconds, status), name="progress")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _refresh(run: FleetRun, duration_seconds: float | None, status: Status) -> None:
    while True:
        status.update(progress_text(run, duration_seconds))
        await asyncio.sleep(_REFRESH_SECONDS)


def progress_text(run: FleetRun, duration_seconds: float | None) -> str:
    """Return what the line says."""
    counters = run.counters
    length = "" if duration_seconds is None else f" of {duration_seconds:.0f}"
    return (
        f"{run.phase} {run.running_seconds:.0f}{length} s · "
        f"{counters.connected}/{len(run.fleet.devices)} connected · "
        f"{sum(counters.offered):,} offered · {sum(counters.acknowledged):,} acknowledged · "
        f"{run.unfinished:,} in outboxes · {sum(counters.refused):,} refused"
    )
