"""Answers kept for a moment, and equal questions asked at once asked only once."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from telemetry.store import StoreTooSlow

Answer = TypeVar("Answer")

_PAUSE_FACTOR = 4


class AnswerCache:
    """Keeps answers for `keep_seconds`, and at least four times as long as they took to find.

    So however slow a question is and however often it comes, it occupies the store for a fifth of
    the time at most. Errors are passed to all who wait, and not kept.
    """

    def __init__(
        self,
        *,
        keep_seconds: float,
        max_answers: int,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hits = 0
        self.joined = 0
        self.misses = 0
        self._keep_seconds = keep_seconds
        self._max_answers = max_answers
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._look_through_at = 0.0
        self._asking: dict[Hashable, Future[Any]] = {}

    def get(
        self, question: Hashable, ask: Callable[[], Answer], *, keep_seconds: float = 0.0
    ) -> Answer:
        """Return the answer to a question, asking only if nobody else does or just did.

        Where answers are kept at all, this one is for at least `keep_seconds`. Raises what `ask`
        raises, and StoreTooSlow after `wait_seconds` of waiting for another's.
        """
        with self._lock:
            kept: tuple[float, Answer] | None = self._answers.get(question)
            if kept is not None and kept[0] > self._clock():
                self.hits += 1
                self._answers.move_to_end(question)
                return kept[1]
            asked: Future[Answer] | None = self._asking.get(question)
            if asked is None:
                self.misses += 1
                asking: Future[Answer] = Future()
                self._asking[question] = asking
            else:
                self.joined += 1
        if asked is None:
            return self._ask(question, ask, asking, keep_seconds)
        return self._wait(asked)

    def _ask(
        self,
        question: Hashable,
        ask: Callable[[], Answer],
        asking: Future[Answer],
        keep_seconds: float,
    ) -> Answer:
        started = self._clock()
        try:
            answer = ask()
        except BaseException as error:
            self._end(question)
            asking.set_exception(error)
            raise
        took_seconds = self._clock() - started
        self._keep(question, answer, max(keep_seconds, _PAUSE_FACTOR * took_seconds))
        asking.set_result(answer)
        return answer

    def _wait(self, asked: Future[Answer]) -> Answer:
        try:
            return asked.result(self._wait_seconds)
        except TimeoutError as error:
            raise StoreTooSlow(f"no answer within {self._wait_seconds} s") from error

    def _keep(self, question: Hashable, answer: object, at_least_seconds: float) -> None:
        keep_seconds = max(self._keep_seconds, at_least_seconds)
        with self._lock:
            del self._asking[question]
            if self._keep_seconds > 0:
                self._let_go()
                self._answers[question] = (self._clock() + keep_seconds, answer)
                self._answers.move_to_end(question)
            if len(self._answers) > self._max_answers:
                self._answers.popitem(last=False)

    def _let_go(self) -> None:
        """Let go of answers whose time is over: many may be asked once and never again."""
        now = self._clock()
        if now < self._look_through_at:
            return
        self._look_through_at = now + self._keep_seconds
        over = [question for question, (until, _answer) in self._answers.items() if until <= now]
        for question in over:
            del self._answers[question]

    def _end(self, question: Hashable) -> None:
        with self._lock:
            del self._asking[question]
