"""Comparisons: runs in turn, their medians, and what is said where the peer is not here."""

import pytest

from bench.pairs import at_least_times, at_most_times, interleaved
from stack import StackError


def test_runs_take_turns() -> None:
    numbers = iter(range(4))

    found = interleaved(2, lambda: ("a", next(numbers)), lambda: ("b", next(numbers)))

    assert found == [[("a", 0), ("a", 2)], [("b", 1), ("b", 3)]]


def test_a_run_that_does_not_count_is_made_again_at_most_twice() -> None:
    tries = iter([True, True, False, True, True, True])

    def run() -> int:
        if next(tries):
            raise StackError("void: the generator was late")
        return 1

    assert interleaved(1, run) == [[1]]
    with pytest.raises(StackError, match="late"):
        interleaved(1, run)


def test_a_row_compares_the_medians() -> None:
    row = at_most_times("cost", [1.0, 9.0, 2.0], [4.0, 5.0, 100.0], 0.4)

    assert (row.ours, row.baseline, row.ratio, row.reached) == (2.0, 5.0, 0.4, True)
    assert not at_least_times("rate", [1.0], [2.0], 0.6).reached


def test_without_a_peer_the_row_says_so_and_is_not_reached() -> None:
    row = at_most_times("cost", [2.0], [], 0.4, "Telegraf is not here")

    assert (row.ours, row.baseline, row.reached) == (2.0, None, False)
    assert row.target == "<= 0.4 times: Telegraf is not here"
