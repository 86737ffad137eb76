"""Catching up: readings that a stream owes are looked for in the store (docs/decisions).

The store knows a reading's own time, not when it was stored. How far back those that were stored
since then reach, ingest says among its figures (`oldest_written_ms`): a look begins there.
"""

import threading
from collections.abc import Generator

from msgspec import Struct

from api import rates
from api.cache import AnswerCache
from api.live.events import GapEvent, GapReason, Wanted, event_text, reading_event
from api.live.figures import LiveFigures
from api.questions import Questions, now_ms
from api.settings import ApiSettings
from api.times import rfc3339
from telemetry.reading import Reading
from telemetry.store import Selection, StoreTooSlow

INGEST = "denyut_ingest"
_PAGE_READINGS = 2_000
_KEPT_SECONDS = 1.0
_KEPT_PAGES = 8
_ASKING_AT_ONCE = 2
_HOUR_MS = 3_600_000


class Page(Struct, frozen=True):
    """A part of a range, as it is sent; `next_ms` is where the next one begins, if there is one."""

    text: bytes
    readings: int
    next_ms: int | None
    whole_page_of_one_time: bool


class CatchingUp:
    """Looks into the store for those who owe; equal looks at once are one."""

    def __init__(self, settings: ApiSettings, questions: Questions, figures: LiveFigures) -> None:
        self._overlap_ms = round(settings.stream_overlap_seconds * 1_000)
        self._longest_ms = round(settings.stream_catch_up_seconds * 1_000)
        self._most = settings.stream_catch_up_readings
        self._questions = questions
        self._figures = figures
        self._wait_seconds = settings.store_timeout_seconds
        self._turns = threading.BoundedSemaphore(_ASKING_AT_ONCE)
        self._pages = AnswerCache(
            keep_seconds=_KEPT_SECONDS,
            max_answers=_KEPT_PAGES,
            wait_seconds=settings.store_timeout_seconds,
        )

    def is_last(self, heard_since_ms: int) -> bool:
        """Whether a look that begins now finds all that was not heard before a time.

        What was on its way then is stored or spooled within the overlap; so each ingest must have
        told figures of after that, and of no spool.
        """
        settled_ms = heard_since_ms + self._overlap_ms
        now = now_ms()
        if now < settled_ms:
            return False
        figures = self._figures_since(settled_ms - rates.LONGEST_RISE_MS)
        reporting = [
            one for one in rates.by_process(figures).values() if rates.is_reporting(one, now)
        ]
        if not reporting:
            return now >= settled_ms + self._overlap_ms
        return all(
            one[-1].time_ms >= settled_ms and not one[-1].values.get("spooled_readings")
            for one in reporting
        )

    def look(self, wanted: Wanted, since_ms: int) -> Generator[bytes]:
        """Yield what was stored since a time, as events, and perhaps more; raises StoreError."""
        self._figures.count("catch_up_looks")
        start_ms, earliest_ms = self._start_ms(since_ms), now_ms() - self._longest_ms
        if start_ms < earliest_ms:
            yield self._gap(start_ms, earliest_ms, "too_long_ago")
            start_ms = earliest_ms
        sent, limit = 0, _PAGE_READINGS
        while True:
            page = self._page(wanted, start_ms, limit)
            sent += page.readings
            if page.text:
                yield page.text
            if page.next_ms is None:
                break
            if sent >= self._most:
                yield self._gap(page.next_ms, now_ms(), "too_many")
                break
            start_ms = page.next_ms
            limit = limit * 2 if page.whole_page_of_one_time else _PAGE_READINGS
        self._figures.count("catch_up_readings", sent)

    def _start_ms(self, since_ms: int) -> int:
        # Whole seconds, so that many who lost the same ask the same.
        from_ms = since_ms - self._overlap_ms
        from_ms -= from_ms % 1_000
        oldest = [
            value
            for one in self._figures_since(from_ms)
            if isinstance(value := one.values.get("oldest_written_ms"), float) and value > 0
        ]
        return max(0, min(from_ms, *map(int, oldest))) if oldest else from_ms

    def _figures_since(self, start_ms: int) -> list[Reading]:
        return self._questions.figures_since(INGEST, start_ms - start_ms % 1_000)

    def _page(self, wanted: Wanted, start_ms: int, limit: int) -> Page:
        question = (wanted, start_ms, limit)
        return self._pages.get(question, lambda: self._ask(wanted, start_ms, limit))

    def _ask(self, wanted: Wanted, start_ms: int, limit: int) -> Page:
        if not self._turns.acquire(timeout=self._wait_seconds):
            raise StoreTooSlow("too many streams catch up at once")
        try:
            found = self._questions.readings(
                Selection(
                    start_ms=start_ms,
                    # Devices' clocks may be ahead.
                    stop_ms=(now_ms() // _HOUR_MS + 25) * _HOUR_MS,
                    site=wanted.site,
                    device=wanted.device,
                    measurement=wanted.measurement,
                    except_site=wanted.except_site,
                ),
                limit=limit,
                descending=False,
            )
        finally:
            self._turns.release()
        events = [event for one in found if wanted.takes(event := reading_event(one))]
        text = b"".join([event.text for event in events])
        if len(found) < limit:
            return Page(text, len(found), None, whole_page_of_one_time=False)
        # Others may share the time of the last one: it comes once more with the next page.
        last_ms = found[-1].time_ms
        return Page(text, len(found), last_ms, whole_page_of_one_time=last_ms == found[0].time_ms)

    def _gap(self, start_ms: int, stop_ms: int, reason: GapReason) -> bytes:
        self._figures.count("stream_gaps")
        told = GapEvent(rfc3339(start_ms), rfc3339(stop_ms), reason)
        return event_text("gap", told)
