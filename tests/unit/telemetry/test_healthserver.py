"""The health server of an asyncio service, asked over its socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from telemetry import healthserver
from telemetry.health import listen
from telemetry.healthserver import Page, serve_health
from telemetry.metrics import Sample
from tests.log_lines import capture_logs


def _broken() -> Page:
    raise RuntimeError("no figures")


@asynccontextmanager
async def serving(lacks: str | None = None) -> AsyncIterator[int]:
    async with serve_health(
        "ingest",
        listen("127.0.0.1", 0),
        checks={"store": lambda: lacks},
        samples=lambda: [Sample("received_readings", 17, "Readings received.")],
        pages={"/latency": lambda: Page(b"{}"), "/broken": _broken},
    ) as port:
        yield port


async def send(port: int, *pieces: bytes) -> bytes:
    """Send a question piece by piece, and return all that comes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ask(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    answer = await send(port, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


async def test_readiness_names_what_is_wrong() -> None:
    async with serving("InfluxDB does not answer") as port:
        status, headers, body = await ask(port, "/readyz")

    assert (status, headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == {"ready": False, "checks": {"store": "InfluxDB does not answer"}}


async def test_readiness_health_and_pages_of_the_service_are_shown() -> None:
    async with serving() as port:
        answers = [await ask(port, path) for path in ("/readyz", "/healthz", "/latency?of=all")]

    assert [status for status, _, _ in answers] == [200, 200, 200]
    assert [json.loads(body) for _, _, body in answers][1:] == [{"status": "ok"}, {}]


async def test_metrics_are_in_prometheus_text_format() -> None:
    async with serving() as port:
        _, headers, body = await ask(port, "/metrics")

    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(headers["Content-Length"]) == len(body)
    assert b"\ndenyut_ingest_received_readings_total 17.0\n" in body


def test_it_answers_on_the_loop_of_the_services() -> None:
    async def asked() -> tuple[int, dict[str, str], bytes]:
        async with serving() as port:
            return await ask(port, "/healthz")

    status, _, body = uvloop.run(asked())

    assert (status, body) == (200, b'{"status":"ok"}')


async def test_a_question_that_comes_in_pieces_is_answered_once_it_is_whole() -> None:
    async with serving() as port:
        answer = await send(port, b"GET /hea", b"lthz HTTP/1.0\r\n", b"\r", b"\n")

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1


async def test_head_has_the_head_alone() -> None:
    async with serving() as port:
        status, headers, body = await ask(port, "/healthz", "HEAD")

    assert (status, headers["Content-Length"], body) == (200, "15", b"")


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"POST /healthz HTTP/1.1\r\n\r\n", 405),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
        (b"\xff\x00\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000, 431),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(question: bytes, status: int) -> None:
    async with serving() as port:
        answer = await send(port, question)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status


async def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthserver, "_LONGEST_SECONDS", 0.05)
    async with serving() as port:
        assert await send(port, b"GET /healthz HTTP/1.1\r\n") == b""


async def test_more_connections_than_are_allowed_are_closed_and_those_before_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(healthserver, "_MOST_CONNECTIONS", 1)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await send(port, b"GET /healthz HTTP/1.1\r\n\r\n") == b""
        writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        await close(writer)
        # What was closed leaves its place to others.
        assert (await ask(port, "/healthz"))[0] == 200


async def test_a_page_that_fails_is_logged() -> None:
    with capture_logs() as logs:
        async with serving() as port:
            await ask(port, "/broken")

    assert [(one["event"], one["path"]) for one in logs] == [
        ("a page could not be made", "/broken")
    ]


async def test_the_end_of_the_service_ends_open_connections() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await ask(port, "/healthz"))[0] == 200  # so that it was accepted
    assert await asyncio.wait_for(reader.read(), 10) == b""
    await close(writer)
