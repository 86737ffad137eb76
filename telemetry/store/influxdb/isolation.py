"""Finding the lines that InfluxDB refuses, by writing parts of a batch again.

Writing a line again changes nothing, so parts can be sent as often as it takes. A 400 quotes the
lines that it cannot parse; a 422 says how many it left out, but never which.
"""

from collections.abc import Callable, Sequence

from telemetry.store import Refused
from telemetry.store.influxdb.failures import Verdict

MOST_REQUESTS = 64

Send = Callable[[Sequence[bytes]], Verdict]


def write_isolating(lines: Sequence[bytes], send: Send) -> list[Refused]:
    """Write the lines; return the refused ones by index, all others being stored.

    Past 64 requests what is not settled yet is refused as a block, with the server's message.
    StoreError from `send` goes through: write the whole again.
    """
    isolation = _Isolation(lines, send)
    isolation.write(range(len(lines)))
    return sorted(isolation.refused, key=lambda refused: refused.index)


class _Isolation:
    def __init__(self, lines: Sequence[bytes], send: Send) -> None:
        self._lines = lines
        self._send = send
        self._requests = 0
        self.refused: list[Refused] = []

    def write(self, indexes: Sequence[int]) -> None:
        """Write lines of which nothing is known."""
        if not indexes:
            return
        verdict = self._try(indexes)
        match verdict.outcome:
            case "stored":
                pass
            case "rest stored":
                # What is too old stands together then, instead of all over the batch.
                self._narrow(sorted(indexes, key=self._time_ms), verdict)
            case "nothing stored":
                self._set_aside(indexes, verdict)
            case "too large":
                self._halve(indexes, verdict)

    def _try(self, indexes: Sequence[int]) -> Verdict:
        self._requests += 1
        return self._send([self._lines[index] for index in indexes])

    def _set_aside(self, indexes: Sequence[int], verdict: Verdict) -> None:
        """Refuse the lines that a 400 quotes and write the others; halve where it quotes none."""
        message = verdict.message.encode()
        # With its quotation marks: a line may be the beginning of another one.
        quoted = [one for one in indexes if b"'%b'" % self._lines[one] in message]
        if not quoted:
            self._halve(indexes, verdict)
            return
        self._refuse(quoted, verdict)
        taken = set(quoted)
        rest = [one for one in indexes if one not in taken]
        if self._is_spent() and rest:
            self._refuse(rest, verdict)
        else:
            self.write(rest)

    def _halve(self, indexes: Sequence[int], verdict: Verdict) -> None:
        if len(indexes) == 1 or self._is_spent():
            self._refuse(indexes, verdict)
            return
        middle = len(indexes) // 2
        self.write(indexes[:middle])
        if self._is_spent():
            self._refuse(indexes[middle:], verdict)
        else:
            self.write(indexes[middle:])

    def _narrow(self, indexes: Sequence[int], verdict: Verdict) -> None:
        """Find the lines that a 422 left out; all others of `indexes` are stored already."""
        if len(indexes) == 1 or verdict.dropped == len(indexes) or self._is_spent():
            self._refuse(indexes, verdict)
            return
        middle = len(indexes) // 2
        left, right = indexes[:middle], indexes[middle:]
        of_left = self._try(left)
        if of_left.outcome == "rest stored":
            self._narrow(left, of_left)
        elif of_left.outcome != "stored":
            self._halve(left, of_left)
        # What the left half did not lack, the right half does: no need to ask.
        dropped = _difference(verdict, of_left)
        if dropped is None:
            self._narrow_unknown(right, verdict)
        elif dropped:
            self._narrow(right, Verdict("rest stored", verdict.message, dropped))

    def _narrow_unknown(self, indexes: Sequence[int], verdict: Verdict) -> None:
        if self._is_spent():
            self._refuse(indexes, verdict)
        else:
            self.write(indexes)

    def _time_ms(self, index: int) -> int:
        line = self._lines[index]
        return int(line[line.rindex(b" ") + 1 :])

    def _is_spent(self) -> bool:
        return self._requests >= MOST_REQUESTS

    def _refuse(self, indexes: Sequence[int], verdict: Verdict) -> None:
        self.refused.extend(Refused(index, verdict.message) for index in indexes)


def _difference(whole: Verdict, left: Verdict) -> int | None:
    of_left = 0 if left.outcome == "stored" else left.dropped
    if whole.dropped is None or of_left is None or of_left > whole.dropped:
        return None
    return whole.dropped - of_left
