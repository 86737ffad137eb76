"""An event loop in a thread of its own, for the proxies that stand between real parts."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_WITHIN_SECONDS = 15.0


class LoopThread:
    """Runs coroutines for a caller that has no loop; `close` cancels what still runs."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_WITHIN_SECONDS)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the loop's thread, and wait until it has returned."""

        async def called() -> None:
            function()

        self.run(called())

    def close(self) -> None:
        """Cancel every task and end the thread."""
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
