"""The way by HTTP before a server that answers as it is told: what each answer means to a batch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED, NOT_NAMED, Rejection
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow, Refused
from sensors.ways.http import HttpChannel, http_channel
from telemetry.settings import Secret, SettingError
from tests.eventually import eventually_async


def lost(_why: str) -> None:
    """Hear of a lost connection."""


Reply = Callable[[bytes], web.Response]


def settings(url: str, key: str = "the key") -> SensorsSettings:
    return SensorsSettings.load(
        {}, via="http", http_url=url, key=Secret(key), fleet_key=Secret("f"), client_id="s-1"
    )


def problem(status: int, detail: str = "a reason", **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"detail": detail}, status=status, headers=named)


class Scripted:
    """Answers a question with 405 and a batch with `reply`; remembers what came."""

    def __init__(self) -> None:
        self.reply: Reply = lambda _body: web.Response(status=204)
        self.asked: web.Response | None = None
        self.silent = self.breaks = False
        self.bodies: list[bytes] = []
        self.keys: set[str] = set()
        self.types: set[str] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.keys.add(request.headers["Authorization"])
        if request.method == "GET":
            return problem(405) if self.asked is None else self.asked
        assert request.path == "/v1/readings"
        self.types.add(request.headers["Content-Type"])
        self.bodies.append(body)
        if self.breaks:
            request.protocol.force_close()
        if self.silent:
            await asyncio.Event().wait()
        return self.reply(body)


@asynccontextmanager
async def serving(scripted: Scripted) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(scripted.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def channel(scripted: Scripted) -> AsyncIterator[HttpChannel]:
    async with serving(scripted) as url:
        channel = http_channel(settings(url))()
        await channel.open(lost)
        yield channel
        await channel.close()


async def test_a_batch_is_a_request_with_a_payload_a_line(
    scripted: Scripted, channel: HttpChannel
) -> None:
    assert await channel.send([b'{"a":1}', b"[2]"]) == ALL_STORED

    assert scripted.bodies == [b'{"a":1}\n[2]']
    assert scripted.types == {"application/x-ndjson"}
    assert scripted.keys == {"Bearer the key"}


async def test_what_is_in_quarantine_is_told_by_payload_and_reading(
    scripted: Scripted, channel: HttpChannel
) -> None:
    named = [{"line": 2, "index": 3, "reason": "bad"}]
    scripted.reply = lambda _body: web.json_response({"stored": 5, "quarantined": named})

    answer = await channel.send([b"1", b"2"])

    assert answer.rejected == [Rejection(1, 3, "bad")]


@pytest.mark.parametrize("status", [429, 503])
async def test_not_now_is_tried_again_after_as_long_as_ingest_says(
    scripted: Scripted, channel: HttpChannel, status: int
) -> None:
    scripted.reply = lambda _body: problem(status, Retry_After="7")

    with pytest.raises(NotNow, match="a reason") as caught:
        await channel.send([b"1"])

    assert caught.value.after_seconds == 7.0


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_that_is_not_let_in_needs_a_person(
    scripted: Scripted, channel: HttpChannel, status: int
) -> None:
    scripted.reply = lambda _body: problem(status)

    with pytest.raises(ConnectFailed, match="a reason") as caught:
        await channel.send([b"1"])

    assert caught.value.reason == "refused"


@pytest.mark.parametrize(
    "answer",
    [
        problem(500),
        web.Response(status=502, body=b"<html>"),
        web.Response(status=200, body=b"<html>"),
        web.Response(status=200, body=b'{"quarantined": 5}'),
        web.Response(status=200, body=b" " * 2_000_000),
        web.Response(status=301, headers={"Location": "/elsewhere"}),
    ],
)
async def test_any_other_answer_promises_nothing(
    scripted: Scripted, channel: HttpChannel, answer: web.Response
) -> None:
    scripted.reply = lambda _body: answer

    with pytest.raises(ConnectionLost):
        await channel.send([b"1"])


async def test_what_an_answer_only_counts_is_nothing_that_is_stored(
    scripted: Scripted, channel: HttpChannel
) -> None:
    named = [{"line": 1, "reason": "no JSON"}, {"line": 2, "index": 0, "reason": "NaN"}]
    scripted.reply = lambda _body: web.json_response({"quarantined": named, "unnamed": 7})

    answer = await channel.send([b"1", b"2", b"3"])

    assert answer.rejected == [
        Rejection(0, None, "no JSON"),
        Rejection(1, 0, "NaN"),
        Rejection(1, None, NOT_NAMED),
        Rejection(2, None, NOT_NAMED),
    ]


async def test_a_batch_that_is_too_large_goes_in_halves(
    scripted: Scripted, channel: HttpChannel
) -> None:
    def reply(body: bytes) -> web.Response:
        if len(body) > 5:
            return problem(413)
        if b"7" in body:
            named = [{"line": body.split(b"\n").index(b"7") + 1, "index": 0, "reason": "bad"}]
            return web.json_response({"quarantined": named})
        return web.Response(status=204)

    scripted.reply = reply

    answer = await channel.send([b"%d" % number for number in range(9)])

    assert answer.rejected == [Rejection(7, 0, "bad")]


async def test_of_a_batch_the_payload_that_is_too_large_by_itself_is_named(
    scripted: Scripted, channel: HttpChannel
) -> None:
    scripted.reply = lambda body: problem(413) if len(body) > 10 else web.Response(status=204)

    with pytest.raises(Refused, match="a reason") as caught:
        await channel.send([b"1", b"2", b"3", b"x" * 20, b"5"])

    assert caught.value.payload == 3


async def test_a_connection_that_breaks_promises_nothing(
    scripted: Scripted, channel: HttpChannel
) -> None:
    scripted.breaks = True

    with pytest.raises(ConnectionLost):
        await channel.send([b"1"])


async def test_closing_breaks_off_what_is_on_its_way(
    scripted: Scripted, channel: HttpChannel
) -> None:
    scripted.silent = True
    asked = asyncio.ensure_future(channel.send([b"1"]))
    await eventually_async(lambda: scripted.bodies)

    channel.abort()
    await channel.close()

    with pytest.raises(ConnectionLost):
        await asked
    with pytest.raises(ConnectionLost):
        await channel.send([b"1"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(problem(401, "not known"), "HTTP 401: not known"), (web.Response(), "HTTP 200")],
)
async def test_opening_asks_whether_the_key_is_known(answer: Any, reason: str) -> None:
    scripted = Scripted()
    scripted.asked = answer
    async with serving(scripted) as url:
        channel = http_channel(settings(url))()
        with pytest.raises(ConnectFailed, match=reason) as caught:
            await channel.open(lost)
        await channel.close()

    assert caught.value.reason == "refused"


async def test_where_nobody_listens_opening_fails() -> None:
    async with serving(Scripted()) as url:
        pass
    channel = http_channel(settings(url))()
    with pytest.raises(ConnectFailed) as caught:
        await channel.open(lost)
    await channel.close()

    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "http://", "x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="SENSORS_HTTP_URL"):
        http_channel(settings(url))
