"""What one request has brought: its messages, and the answer once all of them are durable."""

import asyncio
from collections.abc import Iterator

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from ingest.message import MOST_NAMED, Receipt, Receipts
from ingest.sources.http.parts import Parts
from ingest.sources.http.problems import SIGNED

_MOST_REASON_CHARACTERS = 200


class _Quarantined(Struct, frozen=True):
    index: int | UnsetType
    reason: str
    line: int | UnsetType = UNSET


class _Outcome(Struct, frozen=True, omit_defaults=True):
    stored: int
    quarantined: list[_Quarantined]
    unnamed: int = 0


class Submission:
    """The receipts of a request's payloads, in their order."""

    def __init__(self, parts: Parts) -> None:
        self._counted_by = parts.counted_by
        self._receipts = Receipts[Receipt](self._note_durable)
        self._all = [self._receipts.owe(Receipt()) for _ in parts.payloads]
        self._left = len(self._all)
        self._durable = asyncio.Event()

    @property
    def receipts(self) -> list[Receipt]:
        """The receipts of the payloads."""
        return self._all

    async def durable(self) -> None:
        """Wait until every reading is durable; the messages have been taken before."""
        self._receipts.release()
        await self._durable.wait()

    def response(self) -> web.Response:
        """Return the answer, for when all is durable."""
        readings = sum(receipt.readings for receipt in self._all)
        unnamed = sum(receipt.unnamed for receipt in self._all)
        rejected = list(self._rejected())
        if not rejected:
            return web.Response(status=204, headers=SIGNED)
        stored = readings - len(rejected) - unnamed
        named = rejected[:MOST_NAMED]
        outcome = _Outcome(stored, named, unnamed + len(rejected) - len(named))
        headers = {**SIGNED, "Content-Type": "application/json"}
        return web.Response(body=msgspec.json.encode(outcome), headers=headers)

    def _rejected(self) -> Iterator[_Quarantined]:
        """Yield what was rejected, by line and index there, or by index in the whole body."""
        before = 0
        for line, receipt in enumerate(self._all, 1):
            for one in receipt.rejected:
                reason = one.reason[:_MOST_REASON_CHARACTERS]
                if self._counted_by == "line":
                    yield _Quarantined(UNSET if receipt.is_whole else one.index, reason, line)
                else:
                    yield _Quarantined(before + one.index, reason)
            before += receipt.readings

    def _note_durable(self, ready: list[Receipt]) -> None:
        self._left -= len(ready)
        if not self._left:
            self._durable.set()
