"""What is no request: refused with a problem by the server itself, and nobody else notices."""

import socket

import msgspec
import pytest

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings

HOST = b"Host: x\r\n"


@pytest.fixture
def api(local: LocalStack, broker: Broker) -> Service:
    assert broker.is_running
    open_store(StoreSettings(store_url=local.store_url)).write([])
    return local.start_api()


def send(api: Service, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and return the status, the headers and the body of what comes back."""
    with socket.create_connection(("127.0.0.1", api.port), 10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


REQUESTS = {
    "nonsense": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    "no version": (b"GET /healthz\r\n\r\n", 400),
    "a header without a colon": (b"GET /healthz HTTP/1.1\r\nHost\r\n\r\n", 400),
    "a length that is none": (
        b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
        400,
    ),
    "two lengths": (
        b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    "a long address": (b"GET /" + b"x" * 6_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a very long address": (b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a long header": (
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: " + b"x" * 9_000 + b"\r\n\r\n",
        431,
    ),
    "many headers": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n" * 200 + b"\r\n", 431),
    "a coding that is none": (
        b"POST /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: zip\r\n\r\n",
        501,
    ),
}


def test_each_is_a_problem_and_the_server_goes_on(api: Service) -> None:
    for name, (request, status) in REQUESTS.items():
        found, headers, body = send(api, request)
        assert found == status, (name, body)
        assert headers["content-type"] == "application/problem+json", name
        assert headers["connection"] == "close"
        assert msgspec.json.decode(body)["status"] == status
    assert api.get("/healthz")[0] == 200
    assert "Traceback" not in api.log_tail(200)
