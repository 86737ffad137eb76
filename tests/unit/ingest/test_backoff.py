"""How long to wait before trying again."""

from ingest.backoff import Backoff


def test_waits_double_up_to_a_limit_and_each_is_from_half_of_that_to_all_of_it() -> None:
    backoffs = [Backoff(0.2, 5.0) for _ in range(50)]
    for longest in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        waits = [one.next_seconds() for one in backoffs]

        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1


def test_after_a_success_it_begins_again() -> None:
    backoff = Backoff(0.2, 5.0)
    for _ in range(9):
        backoff.next_seconds()

    backoff.reset()

    assert backoff.next_seconds() <= 0.2
