"""Finding the lines that InfluxDB refuses, by writing parts of a batch again.

Writing a line again changes nothing, so parts can be sent as often as it takes. Only two answers
settle a line: a 204 to a request that holds it, and a refusal of it alone. What a 422 counts as
dropped is the count of one shard, and it is said before the other shards have answered, so that it
proves nothing of the lines beside those that it means.
"""

from collections.abc import Callable, Sequence

from telemetry.store import Refused
from telemetry.store.influxdb.failures import Verdict
from telemetry.store.influxdb.messages import quoted, suspects

MOST_REQUESTS = 64
_REASON_CHARACTERS = 500

Send = Callable[[Sequence[bytes]], Verdict]


def write_isolating(lines: Sequence[bytes], send: Send) -> list[Refused]:
    """Write the lines; return the refused ones by index, all others being stored.

    Past 64 requests what is not settled yet is refused as a block, with the server's message; of
    such a block some lines may be stored as well. StoreError from `send` goes through: write the
    whole again.
    """
    isolation = _Isolation(lines, send)
    if lines:
        isolation.write(range(len(lines)))
    return sorted(isolation.refused, key=lambda refused: refused.index)


class _Isolation:
    def __init__(self, lines: Sequence[bytes], send: Send) -> None:
        self._lines = lines
        self._send = send
        self._requests = 0
        self.refused: list[Refused] = []

    def write(self, indexes: Sequence[int]) -> None:
        """Write lines of which nothing is known, until each is stored or refused."""
        self._requests += 1
        lines = [self._lines[index] for index in indexes]
        verdict = self._send(lines)
        match verdict.outcome:
            case "stored":
                pass
            case "nothing stored":
                self._set_aside(indexes, quoted(_texts(lines), verdict.message), verdict)
            case "rest stored" if verdict.dropped == len(indexes):
                self._refuse(indexes, verdict.message)
            case "rest stored":
                self._divide(indexes, suspects(_texts(lines), verdict.message), verdict)
            case "too large":
                self._divide(indexes, [], verdict)

    def _set_aside(self, indexes: Sequence[int], reasons: dict[int, str], verdict: Verdict) -> None:
        """Refuse the lines that a 400 quotes and write the others; halve where it quotes none."""
        if not reasons:
            self._divide(indexes, [], verdict)
            return
        for place, reason in reasons.items():
            self._refuse([indexes[place]], reason)
        rest = [index for place, index in enumerate(indexes) if place not in reasons]
        self._write_part(rest, verdict)

    def _divide(self, indexes: Sequence[int], doubtful: Sequence[int], verdict: Verdict) -> None:
        """Write the lines in two parts: those that may be meant and the others, or halves."""
        if len(indexes) == 1:
            self._refuse(indexes, verdict.message)
            return
        if not 0 < len(doubtful) < len(indexes):
            doubtful = range(len(indexes) // 2)
        meant = set(doubtful)
        self._write_part([index for place, index in enumerate(indexes) if place in meant], verdict)
        others = [index for place, index in enumerate(indexes) if place not in meant]
        self._write_part(others, verdict)

    def _write_part(self, indexes: Sequence[int], verdict: Verdict) -> None:
        if indexes and self._requests < MOST_REQUESTS:
            self.write(indexes)
        else:
            self._refuse(indexes, verdict.message)

    def _refuse(self, indexes: Sequence[int], message: str) -> None:
        reason = message[:_REASON_CHARACTERS]
        self.refused.extend(Refused(index, reason) for index in indexes)


def _texts(lines: Sequence[bytes]) -> list[str]:
    return [line.decode() for line in lines]
