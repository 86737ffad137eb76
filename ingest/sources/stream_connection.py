"""One connection of a stream socket: lines are taken as they come, and answered once durable.

Where its sender is done, or the stream cannot go on, no more is read, what was taken is answered,
and then it ends. Where its sender does not read the answers, it is cut at once.
"""

import asyncio
import time
from collections import deque
from typing import Protocol, cast

from msgspec import Struct

from ingest.grant import Grant
from ingest.message import Receipt, Receipts
from ingest.sources import lines
from ingest.sources.counts import EndReason
from ingest.sources.keys import Keys
from ingest.sources.lines import LineSplitter, Trouble

_KEY_LINE_BYTES = 4_096
_LINES_A_TURN = 500  # of the event loop: thousands of tiny lines may come at once
_LINE_COST_BYTES = 50  # of a line that waits, beside its own
_DRAIN_SECONDS = 30.0  # how long the end of a connection waits for its last answers
_LINGER_SECONDS = 2.0  # how long a sender may take to hear that it is the end
_LINGER_BYTES = 4_000_000  # and how much it may send meanwhile
_NOT_LET_IN = Trouble('the first line has to be {"key": "…"}, with a key that is known')
_LET_IN_NO_MORE = Trouble("the key is known no more")


class Limits(Struct, frozen=True, kw_only=True):
    """How much, and how long, is borne of one connection."""

    line_bytes: int
    idle_seconds: float
    line_seconds: float
    key_seconds: float = 5.0
    key_again_seconds: float = 10.0  # after which a revoked key is noticed
    unanswered_lines: int = 10_000
    unread_answer_bytes: int = 262_144


class Receiver(Protocol):
    """What takes a connection's lines; its methods must not raise."""

    def accept(self, line: bytes, receipt: Receipt, grant: Grant | None, arrival_ms: int) -> None:
        """Take a line over."""

    def has_room(self) -> bool:
        """Tell whether more can be taken."""

    def hold(self) -> None:
        """Let nobody be read until there is room."""

    def note_unfinished(self, more_bytes: int) -> None:
        """Note that so much more, or less, of unfinished lines is kept."""

    def note_backlog(self, more_bytes: int) -> None:
        """Note that so much more, or less, of lines is kept that there was no room for."""

    def note_answered(self, answered: int) -> None:
        """Note that so many lines were answered."""

    def note_ended(self, reason: EndReason) -> None:
        """Note that a connection has to end, and why."""

    def join(self, connection: "StreamConnection") -> None:
        """Note that a connection is there; it may be held."""

    def leave(self, connection: "StreamConnection") -> None:
        """Note that it is gone."""


class StreamConnection(asyncio.Protocol):
    """What one sender sends from its host; without `keys` it has been let in."""

    def __init__(
        self, receiver: Receiver, limits: Limits, keys: Keys | None, host: str = ""
    ) -> None:
        self.host = host
        self._receiver = receiver
        self._limits = limits
        self._keys = keys
        self._key: str | None = None
        self._grant: Grant | None = None
        self._splitter = LineSplitter(_KEY_LINE_BYTES if keys else limits.line_bytes)
        self._backlog: deque[bytes] = deque()
        self._receipts = Receipts[Receipt](self._answer)
        self._durable = 0
        self._unfinished_bytes = self._backlog_bytes = 0
        self._discarded_bytes = 0
        self._is_held = self._is_done = self._is_taking = False
        self._is_reading = True
        self._opened_s = self._key_seen_s = self._heard_s = 0.0
        self._ending_since_s: float | None = None
        self._parted_s: float | None = None
        self.line_since_s: float | None = None
        self.served_ms = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say that lines may come, unless a key has to come first."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.unread_answer_bytes)
        self._opened_s = self._heard_s = time.monotonic()
        if self._keys is None:
            self._transport.write(lines.READY)
        self._receiver.join(self)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self._is_reading:
            # Once more: uvloop begins to read behind `connection_made`, whatever was said there.
            self._transport.pause_reading()
        if self._ending_since_s is not None or self._parted_s is not None:
            self._discard(len(data))
            return
        self._heard_s = time.monotonic()
        if self._keys is not None and self._key is None:
            data = self._take_key(self._keys, data)
        found = self._splitter.feed(data)
        self._note_unfinished(began_anew=bool(found))
        self._backlog.extend(found)
        self._note_backlog(sum(map(len, found)) + _LINE_COST_BYTES * len(found))
        if self._splitter.trouble is not None and self._ending_since_s is None:
            self._end("framing")
        self._take()

    def eof_received(self) -> bool:
        """Answer what is owed before the end, where that can be; half a line is none."""
        self._is_done = True
        if self._ending_since_s is None:
            self._splitter.end()
            self._note_unfinished(began_anew=True)
            self._end("framing" if self._splitter.trouble is not None else None)
            self._take()
        return self._parted_s is None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """Cut the connection: its sender does not read the answers."""
        self._receiver.note_ended("unread")
        self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the sender; what was taken is stored all the same."""
        self._receipts.forget()
        self._backlog.clear()
        self._note_backlog(-self._backlog_bytes)
        self._receiver.note_unfinished(-self._unfinished_bytes)
        self._unfinished_bytes = 0
        self.line_since_s = None
        self.lost.set()
        self._receiver.leave(self)

    def hold(self) -> None:
        """Be read no more until `go_on`."""
        self._is_held = True
        self._mind_reading()

    @property
    def has_more(self) -> bool:
        """Whether lines are here that could be taken, were there room for them."""
        return bool(self._backlog) and len(self._receipts) < self._limits.unanswered_lines

    def go_on(self) -> None:
        """Hand on the lines that are here, and be read again when none is left."""
        self._is_held = False
        self._take()

    def hand_on(self) -> None:
        """Hand on some of the lines that are here; being held does not end with that."""
        self._take()

    def fail(self, reason: EndReason, trouble: Trouble) -> None:
        """End it: what was taken is answered, and then it is said why."""
        if self._ending_since_s is None:
            self._splitter.stop(trouble)
            self._note_unfinished(began_anew=True)
            self._end(reason)
            self._take()

    def close(self) -> None:
        """End it behind what was answered."""
        if self._parted_s is None and not self._transport.is_closing():
            self._part()

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    def mind_time(self, now_s: float) -> None:
        """End it where something has taken too long."""
        if self._parted_s is not None:
            if now_s - self._parted_s > _LINGER_SECONDS:
                self._transport.abort()
        elif self._ending_since_s is not None:
            if now_s - self._ending_since_s > _DRAIN_SECONDS:
                self._part()
        else:
            self._mind_key(now_s)
            if self._is_reading:  # whom we do not read, we cannot call slow
                self._mind_silence(now_s)

    def _mind_key(self, now_s: float) -> None:
        """Ask again what the key allows, as for each request over HTTP."""
        if self._keys is None or self._key is None:
            return
        if now_s - self._key_seen_s > self._limits.key_again_seconds:
            self._key_seen_s = now_s
            self._grant = self._keys.grant(self._key)
            if self._grant is None:
                self.fail("key", _LET_IN_NO_MORE)

    def _mind_silence(self, now_s: float) -> None:
        limits = self._limits
        if self._keys is not None and self._key is None:
            if now_s - self._opened_s > limits.key_seconds:
                self.fail("slow", Trouble(f"no key within {limits.key_seconds:g} s"))
        elif self.line_since_s is not None:
            if now_s - self.line_since_s > limits.line_seconds:
                self.fail("slow", Trouble(f"a line without an end for {limits.line_seconds:g} s"))
        elif not self._receipts and now_s - self._heard_s > limits.idle_seconds:
            self.fail("idle", Trouble(f"silent for {limits.idle_seconds:g} s"))

    def _take_key(self, keys: Keys, data: bytes) -> bytes:
        """Let the sender in by its first line; return what came behind it."""
        end = data.find(b"\n") + 1
        found = self._splitter.feed(data[:end] if end else data)
        if not end or self._splitter.trouble is not None:
            return b""
        key = lines.key_in(found[0]) if found else None
        grant = keys.grant(key) if key is not None else None
        if grant is None:
            self.fail("key", _NOT_LET_IN)
            return b""
        self._key, self._grant, self._key_seen_s = key, grant, self._heard_s
        self._splitter = LineSplitter(self._limits.line_bytes)
        self._transport.write(lines.READY)
        return data[end:]

    def _take(self) -> None:
        """Hand on the lines that there are, as far as there is room for them."""
        receiver, receipts, backlog = self._receiver, self._receipts, self._backlog
        grant, arrival_ms = self._grant, time.time_ns() // 1_000_000
        may_owe = self._limits.unanswered_lines - len(receipts)
        taken_bytes = 0
        for _ in range(min(len(backlog), may_owe, _LINES_A_TURN)):
            if not receiver.has_room():
                receiver.hold()
                break
            line = backlog.popleft()
            taken_bytes += len(line) + _LINE_COST_BYTES
            receiver.accept(line, receipts.owe(Receipt()), grant, arrival_ms)
            self.served_ms = arrival_ms
        self._note_backlog(-taken_bytes)
        receipts.release()
        self._mind_reading()
        if self.has_more and not self._is_held and not self._is_taking:
            self._is_taking = True
            asyncio.get_running_loop().call_soon(self._take_on)

    def _take_on(self) -> None:
        self._is_taking = False
        self._take()

    def _answer(self, receipts: list[Receipt]) -> None:
        first = self._durable + 1
        self._durable += len(receipts)
        quarantined = [
            named
            for line, receipt in enumerate(receipts, first)
            if receipt.rejected
            for named in lines.named(line, receipt)
        ]
        unnamed = sum(receipt.unnamed for receipt in receipts) if quarantined else 0
        if not self._transport.is_closing():
            self._transport.write(lines.durable(self._durable, quarantined, unnamed))
        self._receiver.note_answered(len(receipts))
        if self._backlog:
            self._take()
        else:
            self._mind_reading()

    def _mind_reading(self) -> None:
        """Read or pause, as things are; part where it is the end and nothing is owed."""
        if self._parted_s is not None or self._transport.is_closing():
            return
        if self._ending_since_s is not None and not self._backlog and not self._receipts:
            self._part()
            return
        reads = (
            self._ending_since_s is None
            and not self._is_held
            and not self._backlog
            and len(self._receipts) < self._limits.unanswered_lines
        )
        if reads != self._is_reading:
            self._read(reads)

    def _read(self, reads: bool) -> None:
        self._is_reading = reads
        if not reads:
            self._transport.pause_reading()
            return
        self._heard_s = time.monotonic()
        if self.line_since_s is not None:
            self.line_since_s = self._heard_s
        self._transport.resume_reading()

    def _end(self, reason: EndReason | None) -> None:
        """Read no more; `reason` is None where the sender is done."""
        self._ending_since_s = time.monotonic()
        if reason is not None:
            self._receiver.note_ended(reason)

    def _part(self) -> None:
        """Say the last word, and close when it was heard: a reset could overtake it."""
        self._parted_s = time.monotonic()
        if self._transport.is_closing():
            return
        if self._splitter.trouble is not None:
            self._transport.write(lines.error(self._splitter.trouble))
        if self._is_done or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            if not self._is_reading:
                self._read(True)

    def _discard(self, came_bytes: int) -> None:
        self._discarded_bytes += came_bytes
        if self._discarded_bytes > _LINGER_BYTES:
            self._transport.abort()

    def _note_backlog(self, more_bytes: int) -> None:
        if more_bytes:
            self._backlog_bytes += more_bytes
            self._receiver.note_backlog(more_bytes)

    def _note_unfinished(self, *, began_anew: bool) -> None:
        kept = self._splitter.unfinished_bytes
        if not kept:
            self.line_since_s = None
        elif began_anew or self.line_since_s is None:
            self.line_since_s = self._heard_s
        more = kept - self._unfinished_bytes
        if more:
            self._unfinished_bytes = kept
            self._receiver.note_unfinished(more)
