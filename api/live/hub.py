"""The hub: what is heard goes to all who want it, ten times a second at most.

An event is written once, and what several readers with one wish get is put together once.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from api.live.events import Chunk, Event, FeedEvent, Wanted, chunk, event_text
from api.live.figures import LiveFigures
from api.live.reader import Reader
from api.questions import now_ms
from telemetry import log

_PACE_SECONDS = 0.1
_SPREAD_SECONDS = 0.08
_WOKEN_AT_ONCE = 10
_IDLE_SECONDS = 0.5
_MOST_PENDING = 200_000

_log = log.get(__name__)


class Hub:
    """Readers, and the thread that fills their queues; `mind` is called at every turn of it.

    What was heard until `position_ms` is in the queues.
    """

    def __init__(self, figures: LiveFigures) -> None:
        self.mind: Callable[[], None] = lambda: None
        self.feed = FeedEvent(live=False, reason="not connected yet")
        self.live_since_ms: int | None = None
        self.position_ms = 0
        self._figures = figures
        self._pending: deque[Event] = deque()
        self._heard = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._readers: defaultdict[Wanted, set[Reader]] = defaultdict(set)
        self._awaiting = 0
        self._feed_changed = threading.Condition(self._lock)
        self._thread = threading.Thread(target=self._run, name="live-hub", daemon=True)

    def start(self) -> None:
        """Begin to hand on what is heard."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._heard.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def wants_readings(self) -> bool:
        """Whether anybody listens to readings, or is about to."""
        with self._lock:
            return self._awaiting > 0 or any(wanted.readings for wanted in self._readers)

    def readers(self) -> list[Reader]:
        """Return who listens now."""
        with self._lock:
            return [reader for group in self._readers.values() for reader in group]

    def join(self, reader: Reader) -> int:
        """Let a reader hear what comes from now on, and return this time in ms.

        Where readings are not heard now, it owes them from now on.
        """
        with self._lock:
            joined_ms = now_ms()
            self._readers[reader.wanted].add(reader)
            if reader.wanted.readings and not self.feed.live:
                reader.owe(joined_ms)
        self._heard.set()
        return joined_ms

    def leave(self, reader: Reader) -> None:
        """Let a reader go."""
        with self._lock:
            group = self._readers.get(reader.wanted)
            if group is not None:
                group.discard(reader)
                if not group:
                    del self._readers[reader.wanted]

    def hear(self, events: Iterable[Event]) -> None:
        """Take events in; they are sent at the next turn."""
        if len(self._pending) > _MOST_PENDING:
            self._pending.clear()
            self.miss(now_ms())
        self._pending.extend(events)
        self._heard.set()

    def feed_up(self) -> None:
        """Note that readings are heard from now on."""
        with self._lock:
            self.live_since_ms = now_ms()
            self._tell(FeedEvent(live=True, reason=""))

    def feed_down(self, since_ms: int, reason: str) -> None:
        """Note that readings since a time were perhaps not heard, nor will be for now."""
        with self._lock:
            if self.feed.live:
                self._figures.count("feed_losses")
                self._owe(since_ms)
            self.live_since_ms = None
            self._tell(FeedEvent(live=False, reason=reason))

    def miss(self, since_ms: int) -> None:
        """Note that some readings since a time were not heard."""
        with self._lock:
            self._owe(since_ms)

    def await_feed(self, timeout_seconds: float) -> None:
        """Return when readings are heard, or when that takes too long."""
        with self._feed_changed:
            self._awaiting += 1
            self._heard.set()
            self._feed_changed.wait_for(lambda: self.feed.live, timeout_seconds)
            self._awaiting -= 1

    def dispatch(self) -> None:
        """Hand on what was heard since the last time."""
        position_ms = now_ms()
        events = [self._pending.popleft() for _ in range(len(self._pending))]
        if events:
            self._share_out(events, position_ms)
        self.position_ms = position_ms

    def _share_out(self, events: Sequence[Event], position_ms: int) -> None:
        by_device: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_device[event.device].append(event)
        with self._lock:
            groups = [(wanted, tuple(readers)) for wanted, readers in self._readers.items()]
        offers: list[tuple[Reader, Chunk]] = []
        for wanted, readers in groups:
            found = _chosen(wanted, events, by_device)
            if found:
                one = chunk(found, position_ms)
                offers += [(reader, one) for reader in readers]
        self._offer_in_turns(offers)

    def _offer_in_turns(self, offers: Sequence[tuple[Reader, Chunk]]) -> None:
        """Spread what is sent over the time until the next turn.

        Hundreds of threads that wake at once keep every request waiting that comes then.
        """
        slices = range(0, len(offers), _WOKEN_AT_ONCE)
        for start in slices:
            if start:
                self._stopping.wait(_SPREAD_SECONDS / len(slices))
            for reader, one in offers[start : start + _WOKEN_AT_ONCE]:
                self._offer((reader,), one)

    def _offer(self, readers: Iterable[Reader], one: Chunk) -> None:
        for reader in readers:
            if not reader.offer(one):
                self._figures.count("streams_dropped")

    def _owe(self, since_ms: int) -> None:
        for wanted, group in self._readers.items():
            if wanted.readings:
                for reader in group:
                    reader.owe(since_ms)

    def _tell(self, feed: FeedEvent) -> None:
        changed = feed != self.feed
        self.feed = feed
        self._feed_changed.notify_all()
        if not changed:
            return
        text = event_text("feed", feed)
        one = Chunk(b"", text, 1, now_ms())
        for wanted, group in self._readers.items():
            if wanted.readings:
                self._offer(tuple(group), one)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._heard.wait(_IDLE_SECONDS)
            self._heard.clear()
            began_s = time.monotonic()
            try:
                self.dispatch()
                self.mind()
            except Exception as error:  # noqa: BLE001 - the streams of all hang on this thread
                _log.error("a turn of the live hub failed", exc_info=error)
            self._stopping.wait(max(0.0, _PACE_SECONDS - (time.monotonic() - began_s)))


def _chosen(
    wanted: Wanted, events: Sequence[Event], by_device: Mapping[str, list[Event]]
) -> list[Event]:
    among = events if wanted.device is None else by_device.get(wanted.device, ())
    return [event for event in among if wanted.takes(event)]
