"""Times as people write them in a question, and as the API writes them in an answer."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from telemetry.reading import MAX_INT64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = MAX_INT64 // 1_000_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)")
_EPOCH_MS = re.compile(r"\d{1,16}")
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class Moment(Struct, frozen=True):
    """A moment: milliseconds since the epoch, or, where relative, since the question is asked."""

    ms: int
    relative: bool = False

    def at(self, now_ms: int) -> int:
        """Return the moment in milliseconds since the epoch."""
        return max(0, now_ms + self.ms) if self.relative else self.ms

    @classmethod
    def parse(cls, text: str) -> "Moment":
        """Read RFC 3339, epoch milliseconds, `now` or `-1h`; ValueError for anything else."""
        if text == "now":
            return cls(0, relative=True)
        if text.startswith("-"):
            return cls(-Duration.parse(text[1:]).ms, relative=True)
        if _EPOCH_MS.fullmatch(text):
            return cls(_within_epoch(int(text)))
        if _RFC_3339.fullmatch(text):
            return cls(_within_epoch((datetime.fromisoformat(text.upper()) - _EPOCH) // _MS))
        raise ValueError(text)


class Duration(Struct, frozen=True):
    """A length of time in milliseconds, more than 0."""

    ms: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `500ms`, `10s`, `5m`, `1h` or `2d`; ValueError for anything else."""
        match = _DURATION.fullmatch(text)
        if match is None or not 0 < int(match[1]) * _UNITS_MS[match[2]] <= _LATEST_MS:
            raise ValueError(text)
        return cls(int(match[1]) * _UNITS_MS[match[2]])


_MS = timedelta(milliseconds=1)


# An answer may hold thousands of times: put together from parts they cost a fifth of isoformat().
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLISECONDS = tuple(f"{millisecond:03}Z" for millisecond in range(1000))


def rfc3339(time_ms: int) -> str:
    """Return a time in UTC with milliseconds: `2026-01-31T12:00:00.250Z`."""
    minutes, rest_ms = divmod(time_ms, 60_000)
    return _minute(minutes) + _SECONDS[rest_ms // 1000] + _MILLISECONDS[rest_ms % 1000]


@lru_cache(4096)
def _minute(minutes: int) -> str:
    return (_EPOCH + timedelta(minutes=minutes)).isoformat()[: len("2026-01-31T12:00:")]


def _within_epoch(time_ms: int) -> int:
    if not 0 <= time_ms <= _LATEST_MS:
        raise ValueError(time_ms)
    return time_ms
