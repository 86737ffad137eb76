"""What a terminal shows while a fleet runs: who is connected, at what rate, and what is behind."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sensors.fleetfile import QOS_LEVELS
from sensors.service import FleetRun

_REFRESH_SECONDS = 0.5


@asynccontextmanager
async def live_view(run: FleetRun, duration_seconds: float | None) -> AsyncIterator[None]:
    """Show the view, on standard error, while the block runs; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield
        return
    view = View(run, duration_seconds)
    live = Live(view.render(), console=Console(stderr=True), auto_refresh=False)
    with live, log_above():
        task = asyncio.create_task(_refresh(view, live), name="live view")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            live.update(view.render(), refresh=True)


@contextmanager
def log_above() -> Iterator[None]:
    """Log meanwhile to what now is standard error: the view's, which puts lines above itself."""
    root = logging.getLogger().handlers
    handlers = [one for one in root if isinstance(one, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)


async def _refresh(view: "View", live: Live) -> None:
    while True:
        await asyncio.sleep(_REFRESH_SECONDS)
        live.update(view.render(), refresh=True)


class View:
    """Draws a run; rates are those since the last drawing."""

    def __init__(self, run: FleetRun, duration_seconds: float | None) -> None:
        self._run = run
        self._duration_seconds = duration_seconds
        self._seen_s = time.monotonic()
        self._offered = [0, 0, 0]
        self._acknowledged = [0, 0, 0]

    def render(self) -> RenderableType:
        """Return the view as it is now."""
        run, counters = self._run, self._run.counters
        now_s = time.monotonic()
        passed_s = max(now_s - self._seen_s, 0.001)
        table = Table("", *(f"QoS {qos}" for qos in QOS_LEVELS), box=None, padding=(0, 2))
        for name, counts, before in (
            ("offered /s", counters.offered, self._offered),
            ("acknowledged /s", counters.acknowledged, self._acknowledged),
        ):
            rates = (
                f"{(new - old) / passed_s:,.0f}" for new, old in zip(counts, before, strict=True)
            )
            table.add_row(name, *rates)
        waits = [counters.acknowledgements.get(qos) for qos in QOS_LEVELS]
        for percent in (50, 99):
            cells = ("-" if one is None else f"{one.percentile_ms(percent)} ms" for one in waits)
            table.add_row(f"answered p{percent}", *cells)
        table.add_row("in flight", *(f"{count:,}" for count in run.in_flight))
        table.add_row("refused", *(f"{count:,}" for count in counters.refused))
        dropped = [sum(counts) for counts in zip(*counters.dropped.values(), strict=True)]
        table.add_row("dropped", *(f"{count:,}" for count in dropped))
        self._seen_s, self._offered = now_s, list(counters.offered)
        self._acknowledged = list(counters.acknowledged)
        return Group(Text(self._head()), table, Text(self._foot(), style="dim"))

    def _head(self) -> str:
        run, counters = self._run, self._run.counters
        length = "" if self._duration_seconds is None else f" of {self._duration_seconds:.0f}"
        stage = "" if run.stage is None else f" · {run.stage}"
        return (
            f"{run.phase} {run.running_seconds:.0f}{length} s{stage} · "
            f"{counters.connected:,}/{len(run.fleet.devices):,} connected · "
            f"{run.unfinished:,} in outboxes"
        )

    def _foot(self) -> str:
        counters = self._run.counters
        failures = sum(counters.connect_failures.values())
        lateness = counters.lateness
        share = lateness.late_readings / max(lateness.readings, 1)
        return (
            f"made p99 {lateness.percentile_ms(99)} ms late, {share:.1%} over 10 ms · "
            f"{counters.lost_connections:,} connections lost, {failures:,} refused or failed · "
            f"{sum(counters.strikes.values()):,} faults"
        )
