"""What is to be done when a request has ended: answered, its stream read or broken off, or failed.

Flask's own hooks run before a stream is sent; only the server knows when it is over, and says so by
closing what it was given (PEP 3333).
"""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wsgi import ClosingIterator

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_KEY = "denyut.on_end"


def on_end(environ: dict[str, Any], call: Callable[[], None]) -> None:
    """Call something once the request of an environment has ended."""
    environ.setdefault(_KEY, []).append(call)


def with_ends(app: Wsgi) -> Wsgi:
    """Return an application that keeps to `on_end`."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        calls: list[Callable[[], None]] = []
        environ[_KEY] = calls
        try:
            parts = app(environ, start_response)
        except BaseException:
            _end(calls)
            raise
        return ClosingIterator(parts, lambda: _end(calls)) if calls else parts

    return answer


def _end(calls: list[Callable[[], None]]) -> None:
    while calls:
        calls.pop()()
