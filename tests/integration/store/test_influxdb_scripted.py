"""What a healthy InfluxDB never says, from a server that does as it is told."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import StoreMisconfigured, StoreThrottled, StoreUnavailable
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place

READING = Reading("s", "d", "m", 1, {"a": 1.0})
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class ScriptedServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer
    requests = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_POST(self) -> None:
        self.server.requests += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.answer(self)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=scripted.serve_forever)
    thread.start()
    yield scripted
    scripted.shutdown()
    scripted.server_close()
    thread.join()


@pytest.fixture
def store(server: ScriptedServer) -> Iterator[InfluxStore]:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    store = InfluxStore(Place(url, "denyut", "telemetry"), Secret("t"), timeout_seconds=0.5)
    yield store
    store.close()


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_503_with_retry_after_asks_for_that_pause(
    server: ScriptedServer, store: InfluxStore
) -> None:
    server.answer = says(503, Retry_After="7")

    with pytest.raises(StoreThrottled) as caught:
        store.write([READING])

    assert caught.value.retry_after_seconds == 7
    assert server.requests == 1


def test_a_429_asks_for_a_pause(server: ScriptedServer, store: InfluxStore) -> None:
    server.answer = says(429)

    with pytest.raises(StoreThrottled):
        store.write([READING])


def test_a_server_that_stays_silent_is_unavailable_after_the_time_out(
    server: ScriptedServer, store: InfluxStore
) -> None:
    released = threading.Event()

    def stay_silent(_handler: http.server.BaseHTTPRequestHandler) -> None:
        released.wait(10)

    server.answer = stay_silent
    began = time.monotonic()

    with pytest.raises(StoreUnavailable):
        store.write([READING])

    assert time.monotonic() - began < 3
    released.set()


def test_an_answer_that_is_lost_is_unavailable_and_not_taken_for_stored(
    server: ScriptedServer, store: InfluxStore
) -> None:
    server.answer = lambda handler: handler.connection.close()

    with pytest.raises(StoreUnavailable):
        store.write([READING])


def test_a_413_is_halved_until_a_single_reading_is_refused(
    server: ScriptedServer, store: InfluxStore
) -> None:
    server.answer = says(413, b'{"code": "too large", "message": "too large"}')

    refused = store.write([READING, READING, READING])

    assert [one.index for one in refused] == [0, 1, 2]
    assert refused[0].reason == "too large"


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.8.10", "version 1.8.10"),
        ("v3.1.0", "version 3.1.0"),
        ("", r"not InfluxDB 2 \(204 to /ping\)"),
    ],
)
def test_another_version_is_told_what_is_supported(
    server: ScriptedServer, store: InfluxStore, version: str, words: str
) -> None:
    server.answer = says(204, X_Influxdb_Version=version) if version else says(204)

    with pytest.raises(StoreMisconfigured, match=f"{words}: InfluxDB 2.7 to 2.9 is supported"):
        store.check()
