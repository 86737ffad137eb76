"""A request's body, with no socket in it: bounded as it comes, and as it is inflated."""

import zlib

from ingest.sources.http.problems import Problem, too_large, too_many

_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for gzip, and nothing else


class Budget:
    """How many bytes of bodies may be held at once, of all who are sending."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    def take(self, more_bytes: int) -> None:
        """Take bytes out of the budget; raises Problem where it has none left."""
        if self.held_bytes + more_bytes > self._most_bytes:
            raise too_many("Too much is being sent at once.")
        self.held_bytes += more_bytes

    def give_back(self, fewer_bytes: int) -> None:
        """Put bytes back."""
        self.held_bytes -= fewer_bytes


class Body:
    """What came of one body; a bomb is noticed before it is inflated further than allowed."""

    def __init__(self, budget: Budget, most_bytes: int, *, is_gzip: bool) -> None:
        self._budget = budget
        self._most_bytes = most_bytes
        self._came_bytes = 0
        self._held = bytearray()
        self._inflating = zlib.decompressobj(_GZIP) if is_gzip else None

    @property
    def held_bytes(self) -> int:
        """How much is held of it, inflated."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Take what came next; raises Problem where that is too much."""
        self._came_bytes += len(data)
        if self._came_bytes > self._most_bytes:
            raise self._too_large()
        self._hold(data if self._inflating is None else self._inflated(data))

    def end(self) -> bytes:
        """Return the whole body; raises Problem where its end is missing."""
        if self._inflating is not None and not self._inflating.eof:
            raise Problem(400, "The body is not whole gzip.", name="bad-body")
        return bytes(self._held)

    def release(self) -> None:
        """Give up what is held of it."""
        self._budget.give_back(len(self._held))
        self._held.clear()

    def _hold(self, data: bytes) -> None:
        if len(self._held) + len(data) > self._most_bytes:
            raise self._too_large()
        self._budget.take(len(data))
        self._held += data

    def _inflated(self, data: bytes) -> bytes:
        assert self._inflating is not None, "asked for gzip alone"
        room = self._most_bytes - len(self._held)
        try:
            # One more than fits, so that what does not fit is seen; 0 would mean without a bound.
            found = self._inflating.decompress(data, room + 1)
        except zlib.error as error:
            raise Problem(400, "The body is not gzip.", name="bad-body", is_last=True) from error
        if self._inflating.unused_data:
            raise Problem(400, "Something follows the gzip.", name="bad-body", is_last=True)
        return found

    def _too_large(self) -> Problem:
        return too_large(f"A body of up to {self._most_bytes:,} bytes is taken, also inflated.")
