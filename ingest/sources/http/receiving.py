"""One request from its head to its answer: who may send, what came, and when it is durable."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web
from msgspec import Struct

from ingest.grant import Grant
from ingest.intake import Intake
from ingest.message import Message
from ingest.sources.http.body import Body, Budget
from ingest.sources.http.parts import LINES, Parts, media_type, parts_of
from ingest.sources.http.problems import (
    Problem,
    key_wanted,
    not_allowed,
    not_durable,
    too_large,
    too_many,
)
from ingest.sources.http.submission import Submission
from ingest.sources.keys import Keys
from ingest.tally import Tally
from telemetry.reading import Address
from telemetry.topics import PARTS, TopicError, checked_address

PATH = "/v1/readings"

_PAYLOADS_AT_ONCE = 100  # handed on before other work of the event loop has its turn
_TURN_BYTES = 65_536


class Limits(Struct, frozen=True, kw_only=True):
    """How much is borne of requests."""

    requests: int
    body_bytes: int
    payload_bytes: int
    held_bytes: int
    body_seconds: float
    durable_seconds: float


class Receiving:
    """Answers requests; raises Problem out of none of its public methods."""

    def __init__(self, limits: Limits, keys: Keys, intake: Intake, tally: Tally) -> None:
        self._limits = limits
        self._keys = keys
        self._intake = intake
        self._tally = tally
        self._budget = Budget(limits.held_bytes)
        self.requests = 0
        self._waiting: set[asyncio.Timeout] = set()
        self._turn = asyncio.Lock()
        self._is_pausing = False

    @property
    def held_bytes(self) -> int:
        """How much of bodies is held that have not been taken yet."""
        return self._budget.held_bytes

    def pause(self) -> None:
        """Take nothing more: who is still sending is told to send again."""
        self._is_pausing = True
        now_s = asyncio.get_running_loop().time()
        for timeout in self._waiting:
            timeout.reschedule(now_s)

    async def respond(self, request: web.BaseRequest) -> web.Response:
        """Return the answer to a request."""
        try:
            grant = self._grant(request)
            _check_route(request)
            address = _address(request, grant)
            with self._slot():
                response = await self._take(request, grant, address)
        except Problem as problem:
            response = problem.response()
        if self._is_pausing:
            response.force_close()
        return response

    def _grant(self, request: web.BaseRequest) -> Grant:
        key = _given_key(request)
        if key is None:
            raise key_wanted("A key is needed: `Authorization: Bearer dnyt_…`, or `X-API-Key`.")
        grant = self._keys.grant(key)
        if grant is not None:
            return grant
        if self._keys.is_known(key):
            raise not_allowed("This key has not the scope 'write'.")
        raise key_wanted("This key is not known, or was revoked.", "invalid_token")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        self._check_pausing()
        if self.requests >= self._limits.requests:
            raise too_many("Too many requests at once.")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def _take(
        self, request: web.BaseRequest, grant: Grant, address: Address | None
    ) -> web.Response:
        kind = media_type(request.headers.get("Content-Type", ""))
        body = Body(self._budget, self._limits.body_bytes, is_gzip=_is_gzip(request))
        if (request.content_length or 0) > self._limits.body_bytes:
            raise too_large(f"A body of up to {self._limits.body_bytes:,} bytes is taken.")
        try:
            await self._read(request, body)
            if self._has_room_for(body, kind):
                parts = parts_of(body.end(), kind, self._limits.payload_bytes)
                submission = Submission(parts)
                for message in _messages(parts, submission, grant, address):
                    self._accept(message)
            else:
                # One at a time is in pieces: all that wait would be, past the room that there is.
                async with self._waiting_for_room(), self._turn:
                    parts = parts_of(body.end(), kind, self._limits.payload_bytes)
                    submission = Submission(parts)
                    await self._hand_on(_messages(parts, submission, grant, address))
        finally:
            body.release()
        return await self._answer(submission)

    def _has_room_for(self, body: Body, kind: str) -> bool:
        """Whether a body can be taken now: it is one payload, and nobody waits for room."""
        is_one = kind not in LINES and body.held_bytes <= self._limits.payload_bytes
        return is_one and self._intake.has_room() and not self._turn.locked()

    async def _hand_on(self, messages: Iterator[Message]) -> None:
        """Hand the messages on, as there is room for them."""
        for number, message in enumerate(messages):
            if number % _PAYLOADS_AT_ONCE == 0:
                await asyncio.sleep(0)
            await self._intake.room()
            self._accept(message)

    def _accept(self, message: Message) -> None:
        self._tally.messages_by_way["http"] += 1
        self._intake.accept(message)

    async def _read(self, request: web.BaseRequest, body: Body) -> None:
        try:
            if request.content.is_eof():
                # It came with its head, as short ones do: there is nothing to wait for.
                body.feed(request.content.read_nowait())
                return
            async with self._patience(self._limits.body_seconds):
                await _let_come(request)
                while data := await request.content.readany():
                    body.feed(data)
        except TimeoutError as error:
            self._check_pausing()
            raise Problem(408, "The body took too long to come.", is_last=True) from error
        except web.RequestPayloadError as error:
            raise Problem(400, "The body is broken.", name="bad-body", is_last=True) from error

    @asynccontextmanager
    async def _waiting_for_room(self) -> AsyncIterator[None]:
        """Who waits for longer than readings take to be durable sends again."""
        try:
            async with self._patience(self._limits.durable_seconds):
                yield
        except TimeoutError as error:
            self._check_pausing()
            raise not_durable("There is no room for readings now.") from error

    @asynccontextmanager
    async def _patience(self, seconds: float) -> AsyncIterator[None]:
        """Wait no longer than that, nor past the beginning of a stop."""
        async with asyncio.timeout(seconds) as timeout:
            self._waiting.add(timeout)
            try:
                yield
            finally:
                self._waiting.discard(timeout)

    def _check_pausing(self) -> None:
        if self._is_pausing:
            raise not_durable("This ingest is stopping.", is_last=True)

    async def _answer(self, submission: Submission) -> web.Response:
        try:
            async with asyncio.timeout(self._limits.durable_seconds):
                await submission.durable()
        except TimeoutError as error:
            raise not_durable("Nothing can be made durable now; send all of it again.") from error
        self._tally.acknowledged_messages += len(submission.receipts)
        return submission.response()


def _messages(
    parts: Parts, submission: Submission, grant: Grant, address: Address | None
) -> Iterator[Message]:
    arrival_ms = time.time_ns() // 1_000_000
    for payload, receipt in zip(parts.payloads, submission.receipts, strict=True):
        yield Message(
            None,
            payload,
            1,
            arrival_ms,
            content_type=parts.content_type,
            receipt=receipt,
            address=address,
            grant=grant,
        )


def _check_route(request: web.BaseRequest) -> None:
    if request.path != PATH:
        raise Problem(404, f"There is nothing but {PATH}.", is_last=True)
    if request.method != "POST":
        raise Problem(405, "Readings are sent by POST.", headers={"Allow": "POST"})


def _given_key(request: web.BaseRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip() or None


def _address(request: web.BaseRequest, grant: Grant) -> Address | None:
    """Return the address in the query, which has all of it or nothing."""
    query = request.query
    unknown = next((name for name in query if name not in PARTS), None)
    if unknown is not None:
        raise _bad_parameter(unknown[:64], "is not known: site, device and measurement are")
    if not query:
        return None
    for part in PARTS:
        if len(query.getall(part, [])) != 1:
            raise _bad_parameter(part, "is to be there once, as the other parts of the address")
    try:
        address = checked_address(query["site"], query["device"], query["measurement"])
    except TopicError as error:
        raise Problem(400, str(error), name="bad-parameter", is_last=True) from error
    if not grant.allows(address.device):
        raise not_allowed("This key is for other devices.")
    return address


def _bad_parameter(parameter: str, why: str) -> Problem:
    detail = f"{parameter} {why}."
    return Problem(400, detail, name="bad-parameter", parameter=parameter, is_last=True)


def _is_gzip(request: web.BaseRequest) -> bool:
    # A second header is a second encoding around the first (RFC 9110, 8.4).
    given = ",".join(request.headers.getall("Content-Encoding", ["identity"]))
    coding = given.strip().lower()
    if coding not in ("gzip", "x-gzip", "identity"):
        headers = {"Accept-Encoding": "gzip"}
        raise Problem(
            415, "Bodies may be gzip, or not encoded.", name="unknown-content-encoding",
            headers=headers, is_last=True,
        )  # fmt: skip
    return coding != "identity"


async def _let_come(request: web.BaseRequest) -> None:
    """Ask for the body where the sender waits to be asked (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
