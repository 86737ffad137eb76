"""Blocking calls in threads that do not keep the process from ending.

What asks a database may wait for as long as its server is halted; the event loop's own threads are
awaited at the end of the process, and other parts need them.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Answer = TypeVar("Answer")


def in_daemon_thread(call: Callable[[], Answer]) -> asyncio.Future[Answer]:
    """Return the future of a blocking call's answer, which is dropped where nobody waits for it."""
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

    threading.Thread(target=run, name="blocking call", daemon=True).start()
    return answered
