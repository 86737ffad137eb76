"""Ingest whose decoding fails unexpectedly for one message in a hundred.

Row 23 of the fault table runs it: `python -m tests.e2e.raising_handler`.
"""

import zlib

from ingest.__main__ import main
from ingest.intake import Intake
from ingest.message import Message

_decode = Intake._decode


def _decode_or_raise(self: Intake, message: Message) -> None:
    # By what it holds, so that a repeat raises as well.
    if zlib.crc32(message.payload) % 100 == 0:
        raise RuntimeError("raised on purpose")
    _decode(self, message)


if __name__ == "__main__":
    Intake._decode = _decode_or_raise  # type: ignore[method-assign]
    main()
