"""A stop that fails no request: the worker says that it goes, and serves on until that is known."""

import signal
import time
from types import FrameType
from typing import Any

from gunicorn.http.message import Request

from api.malformed import MalformedWorker


class DrainingWorker(MalformedWorker):
    """gunicorn's threaded worker, with a time between SIGTERM and the stop.

    For the drain's time it accepts and answers as before, but for `/readyz` and
    `Connection: close`: whoever looks at either goes elsewhere, and nobody is refused meanwhile.
    Then gunicorn's own stop finishes what was started, within the server's `finish_seconds`.
    """

    _stop_at: float | None = None

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        """Begin to drain at SIGTERM."""
        # A signal's handler may take no lock: hence no timer, but a look at the clock in the loop,
        # which the deferred call wakes.
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self.app.begin_drain()
            self.method_queue.defer(lambda: None)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Serve what comes, and stop when the drain is over."""
        if self.alive and self._stop_at is not None:
            left = self._stop_at - time.monotonic()
            timeout = min(timeout, max(0.0, left))
            if left <= 0:
                self.cfg.set("graceful_timeout", self.app.finish_seconds)
                super().handle_exit(signal.SIGTERM, None)
        super().wait_for_and_dispatch_events(timeout)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept or not; at the stop let in who is connected already, and refuse all others.

        gunicorn keeps the listeners to its end: who connects meanwhile would be reset unanswered,
        while one who is refused knows that nothing was asked yet, and tries elsewhere.
        """
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            before = -1
            while before != self.nr_conns:
                before = self.nr_conns
                self.accept(listener)
            listener.close()

    def handle_request(self, req: Request, conn: Any) -> Any:
        """Answer a request, and close its connection behind the answer while draining."""
        if self._stop_at is not None:
            req.force_close()
        return super().handle_request(req, conn)
