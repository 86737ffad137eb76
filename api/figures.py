"""The API's own figures: what it counts, for /metrics and for its reading in the store."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar, get_args

from api.cache import AnswerCache
from api.status_board import State, StatusBoard
from telemetry.metrics import Sample

SERVICE = "api"

Refusal = Literal["missing", "unknown", "scope", "device", "busy"]

Answer = TypeVar("Answer")


class Figures:
    """Counts requests and questions to the store; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._request_seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._refusals: Counter[str] = Counter()
        self._store_queries = 0
        self._store_failures = 0
        self._store_seconds = 0.0

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request by its class of route and of status (`2xx`)."""
        kind = route, f"{status // 100}xx"
        with self._lock:
            self._requests[kind] += 1
            self._request_seconds[kind] += seconds

    def count_refusal(self, reason: Refusal) -> None:
        """Count a request that was refused for its key, for want of one, or as one too many."""
        with self._lock:
            self._refusals[reason] += 1

    def timed(self, ask: Callable[[], Answer]) -> Answer:
        """Ask the store, counting the question and its time."""
        started = time.perf_counter()
        failed = True
        try:
            answer = ask()
            failed = False
        finally:
            with self._lock:
                self._store_queries += 1
                self._store_failures += failed
                self._store_seconds += time.perf_counter() - started
        return answer

    def samples(self, cache: AnswerCache, board: StatusBoard) -> Iterator[Sample]:
        """Yield everything counted so far."""
        with self._lock:
            requests, seconds = dict(self._requests), dict(self._request_seconds)
            refusals = dict(self._refusals)
        for (route, status), count in sorted(requests.items()):
            labels = {"route": route, "status": status}
            yield Sample("requests", count, "Requests answered.", labels)
        for (route, status), total in sorted(seconds.items()):
            labels = {"route": route, "status": status}
            yield Sample("request_seconds", total, "Time spent on them.", labels)
        for reason in get_args(Refusal):
            count, labels = refusals.get(reason, 0), {"reason": reason}
            yield Sample(
                "refused_requests",
                count,
                "Refused unanswered: for the key, or as too many.",
                labels,
            )
        yield Sample("store_queries", self._store_queries, "Questions put to the store.")
        yield Sample("store_failures", self._store_failures, "Questions that the store failed.")
        yield Sample("store_seconds", self._store_seconds, "Time spent waiting for the store.")
        yield Sample("cache_hits", cache.hits, "Questions answered from the cache.")
        yield Sample("cache_joined", cache.joined, "Questions that joined an equal one.")
        yield Sample("cache_misses", cache.misses, "Questions that had to be asked.")
        yield Sample("refused_statuses", board.refused, "Status messages not taken.")
        counts = board.counts()
        for state in get_args(State):
            known = sum(devices for (one, _level), devices in counts.items() if one == state)
            labels = {"state": state}
            yield Sample("known_devices", known, "Devices, whatever their level.", labels, "gauge")
        for (state, level), devices in sorted(counts.items()):
            labels = {"state": state, "qos": level}
            yield Sample("devices", devices, "Devices that told a state.", labels, "gauge")
        yield Sample("known_statuses", len(board), "Devices with a status.", kind="gauge")
