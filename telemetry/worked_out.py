"""Types that several threads read: one thread works out what msgspec has to know of them.

msgspec does so when a type is first used, and shows it to other threads while it is half done: two
first uses at a time can end the process with SIGSEGV (0.22.0; an API that had just started did so
when a page asked it four things at once).
"""

from threading import Lock
from typing import TypeVar

import msgspec

Kind = TypeVar("Kind")

_turn = Lock()


def worked_out(kind: type[Kind]) -> type[Kind]:
    """Return the type, which any number of threads may now use; also as a class's decorator."""
    with _turn:
        msgspec.json.Decoder(kind)
    return kind
