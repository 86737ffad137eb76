"""A store that answers badly: an HTTP proxy before InfluxDB whose behaviour a case chooses."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Literal, Self

import aiohttp
from aiohttp import web
from msgspec import Struct

from stack.faults.loop_thread import LoopThread

HOST = "127.0.0.1"
_LARGEST_BYTES = 1 << 28
_OF_ONE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Scripted(Struct, frozen=True):
    """An answer that the proxy gives itself."""

    status: int
    headers: dict[str, str] = {}
    body: str = ""


Behaviour = Literal["forward", "silent", "lose answer"] | Scripted
Choose = Callable[["Request"], Behaviour]


class Request(Struct):
    """A request that came, its `body` as it was; `ended` once it was answered or given up.

    `connection` tells one TCP connection from another.
    """

    at: float
    path: str
    body: bytes
    connection: str
    behaviour: Behaviour = "forward"
    status: int | None = None
    ended: float | None = None

    @property
    def is_write(self) -> bool:
        """Whether it asks for readings to be written."""
        return self.path == "/api/v2/write" and bool(self.body)


class StoreProxy:
    """Stands before an InfluxDB at `url`; `requests` holds all that came, in order.

    `choose` says what becomes of each request; it may be replaced at any time, from any thread.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self.choose: Choose = forward
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        self._thread = LoopThread("store-proxy")
        self._thread.run(self._listen())
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.run(self._stop())
        self._thread.close()

    def writes(self, since: float = 0.0, until: float = float("inf")) -> list[Request]:
        """Return the requests of a span that asked for readings to be written."""
        return [one for one in list(self.requests) if one.is_write and since <= one.at <= until]

    async def _listen(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=_LARGEST_BYTES)
        application.router.add_route("*", "/{path:.*}", self._serve)
        # A caller that gives up ends its request here as well, so that its time is known.
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, asked: web.Request) -> web.StreamResponse:
        peer = asked.transport.get_extra_info("peername") if asked.transport else None
        request = Request(time.monotonic(), asked.path, await asked.read(), str(peer))
        request.behaviour = self.choose(request)
        self.requests.append(request)
        try:
            response = await self._answer(asked, request)
            request.status = response.status
            return response
        finally:
            request.ended = time.monotonic()

    async def _answer(self, asked: web.Request, request: Request) -> web.StreamResponse:
        if isinstance(request.behaviour, Scripted):
            script = request.behaviour
            return web.Response(status=script.status, headers=script.headers, text=script.body)
        if request.behaviour == "silent":
            await asyncio.Event().wait()
        response = await self._forward(asked, request.body)
        if request.behaviour == "lose answer" and asked.transport is not None:
            asked.transport.abort()
        return response

    async def _forward(self, asked: web.Request, body: bytes) -> web.Response:
        try:
            async with self._session.request(
                asked.method,
                f"{self._target}{asked.raw_path}",
                data=body,
                headers=_passed_on(asked.headers.items()),
            ) as answer:
                headers = _passed_on(answer.headers.items())
                return web.Response(status=answer.status, headers=headers, body=await answer.read())
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))


def forward(_request: Request) -> Behaviour:
    """Let every request through."""
    return "forward"


def writes_only(behaviour: Behaviour) -> Choose:
    """Let a behaviour befall the writes of readings, and all else through."""
    return lambda request: behaviour if request.is_write else "forward"


def everything(behaviour: Behaviour) -> Choose:
    """Let a behaviour befall every request."""
    return lambda _request: behaviour


def _passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _OF_ONE_CONNECTION}
