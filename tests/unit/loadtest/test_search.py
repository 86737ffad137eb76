"""The search for the limit, on targets whose limit is known."""

import pytest

from loadtest.search import Search, Step


def found(limit: int, *, first: int = 10, most: int = 1_000) -> Search:
    """Search a target that holds up to so many users."""
    search = Search(first, most)
    while (users := search.next_users()) is not None:
        search.note(Step(users, users <= limit, per_second=10.0 * users))
        assert len(search.steps) < 40
    return search


@pytest.mark.parametrize("limit", [1, 3, 10, 47, 120, 333, 999])
def test_a_limit_is_found_from_below_within_five_percent(limit: int) -> None:
    held = found(limit).held

    assert held is not None
    assert 0.95 * limit - 1 <= held.users <= limit


def test_it_takes_few_steps() -> None:
    assert len(found(120).steps) <= 14


def test_what_holds_everything_has_no_limit_here() -> None:
    search = found(5_000)

    assert search.held is not None
    assert search.held.users == 1_000
    assert search.missed is None


def test_what_holds_nothing_has_no_knee() -> None:
    search = found(0)

    assert search.held is None
    assert search.missed is not None
    assert search.missed.users == 1


def test_a_load_that_was_held_above_one_that_was_not_does_not_count() -> None:
    search = Search(10, 1_000)
    search.note(Step(100, held=True, per_second=1_000))
    search.note(Step(80, held=False, per_second=800))

    assert search.held is None


def test_what_was_in_the_way_once_is_no_limit() -> None:
    search = Search(10, 1_000)
    disturbed = [15, 120]
    while (users := search.next_users()) is not None:
        is_disturbed = users in disturbed
        if is_disturbed:
            disturbed.remove(users)
        search.note(Step(users, users <= 200 and not is_disturbed, per_second=10.0 * users))
        assert len(search.steps) < 40

    assert search.held is not None
    assert 190 <= search.held.users <= 200


def test_a_limit_is_seen_twice() -> None:
    steps = found(120).steps

    assert [step.held for step in steps if step.users == steps[-1].users] == [False, False]
