"""Blocking calls in threads that do not keep the process from ending.

What asks a database may wait for as long as its server is halted; the event loop's own threads are
awaited at the end of the process, and other parts need them.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

Answer = TypeVar("Answer")


def in_daemon_thread(call: Callable[[], Answer]) -> asyncio.Future[Answer]:
    """Return the future of a blocking call's answer, which is dropped where nobody waits for it."""
    run, answered = _prepared(call)
    threading.Thread(target=run, name="blocking call", daemon=True).start()
    return answered


def beside(call: Callable[[], Answer]) -> Future[Answer]:
    """Return the future of a blocking call for who blocks as well meanwhile."""
    answered: Future[Answer] = Future()

    def run() -> None:
        try:
            answered.set_result(call())
        except Exception as error:  # noqa: BLE001 - it is raised again where the call is awaited
            answered.set_exception(error)

    threading.Thread(target=run, name="blocking call", daemon=True).start()
    return answered


class DaemonThread:
    """One thread for blocking calls, one after another in the order in which they were made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_running = False

    def call(self, call: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Return the future of a call's answer; one that is cancelled in time is not made."""
        run, answered = _prepared(call)
        self._waiting.put(lambda: None if answered.cancelled() else run())
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return answered

    def close(self) -> None:
        """Let the thread end with the call that it has in hand; it is not waited for."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (run := self._waiting.get()) is not None:
            run()


def _prepared(call: Callable[[], Answer]) -> tuple[Callable[[], None], asyncio.Future[Answer]]:
    """Return what a thread has to run, and the future that it answers."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer] = loop.create_future()

    def answer(give: Callable[[], None]) -> None:
        if not answered.done():
            give()

    def run() -> None:
        try:
            give = partial(answered.set_result, call())
        except Exception as error:  # noqa: BLE001 - it is raised again where the call is awaited
            give = partial(answered.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(answer, give)

    return run, answered
