"""A claimed file on its way: line after line becomes a message, until all of it is durable."""

import time
from collections.abc import Callable

from ingest.intake import Intake
from ingest.message import Message, Receipt, Receipts
from ingest.sources.folder.claimed_file import ClaimedFile
from ingest.sources.folder.lines import BadLine, Line, LineCutter
from ingest.tally import Tally

_AT_LEAST_ONCE = 1


class FileReading:
    """Hands a file's lines to the intake; `on_durable` is called when all are kept."""

    def __init__(
        self,
        file: ClaimedFile,
        intake: Intake,
        tally: Tally,
        longest_line_bytes: int,
        on_durable: Callable[["FileReading"], None],
    ) -> None:
        self.file = file
        self._intake = intake
        self._tally = tally
        self._on_durable = on_durable
        self._lines = LineCutter(longest_line_bytes)
        self._receipts = Receipts[Receipt](lambda _answered: self._mind_end())
        self._ended = False

    def lines(self, piece: bytes) -> list[Line]:
        """Return the lines that end in the next piece of the file."""
        return self._lines.feed(piece)

    def accept(self, line: Line) -> None:
        """Hand a line on."""
        self._tally.messages_by_way["folder"] += 1
        receipt = self._receipts.owe(Receipt())
        if isinstance(line, BadLine):
            self._intake.refuse(self._message(line.kept, receipt), line.reason)
        else:
            self._intake.accept(self._message(line, receipt))

    def end(self) -> None:
        """Note that the file has no further lines."""
        for line in self._lines.end():
            self.accept(line)
        self._ended = True
        # Of a line that had nothing to keep nobody else tells that it is done.
        self._receipts.release()
        self._mind_end()

    def give_up(self) -> None:
        """Let nothing be told of this file any more: it is read again another time."""
        self._receipts.forget()

    def _message(self, payload: bytes, receipt: Receipt) -> Message:
        arrival_ms = time.time_ns() // 1_000_000
        return Message(None, payload, _AT_LEAST_ONCE, arrival_ms, receipt=receipt)

    def _mind_end(self) -> None:
        if self._ended and not len(self._receipts):
            self._ended = False
            self._on_durable(self)
