"""What the way in by HTTP counts: its answers, by status."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from telemetry.metrics import Sample

_STATUSES = (200, 204, 400, 401, 403, 404, 405, 408, 413, 415, 429, 503)


class HttpCounts(Struct):
    """Plain integers, counted on the event loop's thread only."""

    responses: Counter[int] = field(default_factory=Counter)

    def note(self, status: int) -> None:
        """Count an answer."""
        self.responses[status] += 1


def samples(counts: HttpCounts) -> Iterator[Sample]:
    """Yield the figures."""
    for status in _STATUSES:
        about = "Answers to requests with readings, by status."
        labels = {"status": str(status)}
        yield Sample("http_responses", counts.responses[status], about, labels)
