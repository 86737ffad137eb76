"""How long a batch lingers: its readings wait for others, so that a write is worth its while."""

_LINGERS_A_WRITE = 2
_SHORTEST_SHARE = 0.25  # of the flush interval


def linger_seconds(write_seconds: float, flush_interval_seconds: float) -> float:
    """Return how long the first reading of a batch waits for others, from its arrival on.

    As long as two writes, so that the store is idle half of the time: one that answers fast has
    small batches soon, and one that is busy large ones. What arrives while a batch is written has
    waited already when that is done.
    """
    shortest = flush_interval_seconds * _SHORTEST_SHARE
    return min(max(write_seconds * _LINGERS_A_WRITE, shortest), flush_interval_seconds)
