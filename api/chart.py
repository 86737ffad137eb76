"""How long the intervals of a chart are: a length that people use, for about as many as wanted."""

_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000

# Each divides a day or is whole days. From a minute on they fit a store's minutes and hours.
_STEPS_MS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(_SECOND_MS * n for n in (1, 2, 5, 10, 15, 30)),
    *(_MINUTE_MS * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR_MS * n for n in (1, 2, 3, 6, 12)),
    *(_DAY_MS * n for n in (1, 2, 7, 14, 28)),
)


def interval_ms(start_ms: int, stop_ms: int, points: int, most: int) -> int:
    """Return the shortest of the usual intervals that cut a range into `points`.

    The first and the last may be cut, so that there may be one more, but never more than `most`.
    """
    wanted = min(points + 1, most)
    for step_ms in _STEPS_MS:
        if intervals(start_ms, stop_ms, step_ms) <= wanted:
            return step_ms
    days = -(-(stop_ms - start_ms) // (points * _DAY_MS))
    while intervals(start_ms, stop_ms, days * _DAY_MS) > wanted:
        days += 1
    return days * _DAY_MS


def intervals(start_ms: int, stop_ms: int, every_ms: int) -> int:
    """Return how many intervals, aligned to the epoch, a range touches."""
    return (stop_ms - 1) // every_ms - start_ms // every_ms + 1
