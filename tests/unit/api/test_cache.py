import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.cache import AnswerCache
from telemetry.store import StoreTooSlow, StoreUnavailable
from tests.eventually import eventually


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> AnswerCache:
    return AnswerCache(keep_seconds=1.0, max_answers=2, wait_seconds=5.0, clock=clock)


def test_an_answer_is_kept_for_its_time_and_then_asked_again(
    cache: AnswerCache, clock: Clock
) -> None:
    answers = iter(["first", "second"])
    assert cache.get("q", lambda: next(answers)) == "first"
    clock.seconds += 0.99
    assert cache.get("q", lambda: next(answers)) == "first"
    clock.seconds += 0.02
    assert cache.get("q", lambda: next(answers)) == "second"
    assert (cache.hits, cache.misses) == (1, 2)


def test_an_answer_may_ask_to_be_kept_for_longer(cache: AnswerCache, clock: Clock) -> None:
    answers = iter(["first", "second"])
    for pause_seconds, expected in ((0.0, "first"), (4.9, "first"), (0.2, "second")):
        clock.seconds += pause_seconds
        assert cache.get("q", lambda: next(answers), keep_seconds=5.0) == expected


def test_a_slow_answer_is_kept_for_four_times_as_long_as_it_took(
    cache: AnswerCache, clock: Clock
) -> None:
    def slow() -> str:
        clock.seconds += 3.0
        return "slow"

    cache.get("q", slow)
    clock.seconds += 11.9
    assert cache.get("q", lambda: "asked again") == "slow"
    clock.seconds += 0.2
    assert cache.get("q", lambda: "asked again") == "asked again"


def test_a_hundred_equal_questions_at_once_are_asked_once(cache: AnswerCache) -> None:
    asked, go = [], threading.Event()

    def ask() -> str:
        asked.append(1)
        assert go.wait(10)
        return "answer"

    with ThreadPoolExecutor(100) as threads:
        answers = [threads.submit(cache.get, "q", ask) for _ in range(100)]
        eventually(lambda: cache.joined == 99, what="99 waiting for the one that asks")
        go.set()
        assert {answer.result(10) for answer in answers} == {"answer"}
    assert len(asked) == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept(cache: AnswerCache) -> None:
    go = threading.Event()

    def fail() -> str:
        assert go.wait(10)
        raise StoreUnavailable("away")

    with ThreadPoolExecutor(5) as threads:
        failing = [threads.submit(cache.get, "q", fail) for _ in range(5)]
        eventually(lambda: cache.joined == 4)
        go.set()
        assert all(isinstance(one.exception(10), StoreUnavailable) for one in failing)
    assert cache.get("q", lambda: "back") == "back"


def test_who_waits_too_long_for_anothers_question_is_told_so() -> None:
    cache = AnswerCache(keep_seconds=1.0, max_answers=2, wait_seconds=0.01)
    go = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(cache.get, "q", lambda: go.wait(10))
        eventually(lambda: cache.misses == 1)
        with pytest.raises(StoreTooSlow):
            cache.get("q", lambda: True)
        go.set()
        assert first.result(10)


def test_no_more_answers_are_kept_than_allowed(cache: AnswerCache) -> None:
    for question in ("a", "b", "c"):
        cache.get(question, lambda: "old")
    assert cache.get("c", lambda: "new") == "old"
    assert cache.get("a", lambda: "new") == "new"


def test_an_answer_whose_time_is_over_takes_no_memory_once_another_is_kept(
    clock: Clock,
) -> None:
    class Large:
        pass

    cache = AnswerCache(keep_seconds=1.0, max_answers=1_000, wait_seconds=5.0, clock=clock)
    held = [weakref.ref(cache.get(number, Large)) for number in range(100)]
    lasting = weakref.ref(cache.get("lasting", Large, keep_seconds=9.0))
    assert all(one() is not None for one in held)

    clock.seconds += 1.5
    cache.get("another", Large)

    assert [one for one in held if one() is not None] == []
    assert lasting() is not None


def test_nothing_is_kept_where_the_time_is_zero() -> None:
    cache = AnswerCache(keep_seconds=0.0, max_answers=2, wait_seconds=1.0)
    assert cache.get("q", lambda: 1) == 1
    assert cache.get("q", lambda: 2) == 2
