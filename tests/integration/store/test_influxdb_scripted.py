"""What a healthy InfluxDB never says, from a server that does as it is told."""

import http.server
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import (
    StoreError,
    StoreMisconfigured,
    StoreThrottled,
    StoreTooSlow,
    StoreUnavailable,
)
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
    body: bytes

    def do_POST(self) -> None:
        self.server.requests += 1
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
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
    store = InfluxStore(place_of(server), Secret("t"))
    yield store
    store.close()


def place_of(server: ScriptedServer) -> Place:
    return Place(store_url(server), "denyut", "telemetry")


def store_url(server: ScriptedServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


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


@pytest.mark.parametrize(
    "ask", [lambda store: store.write([READING]), lambda store: store.latest()]
)
def test_a_server_that_stays_silent_is_too_slow_after_the_time_out(
    server: ScriptedServer, ask: Callable[[InfluxStore], object]
) -> None:
    store = InfluxStore(place_of(server), Secret("t"), timeout_seconds=0.5)
    released = threading.Event()

    def stay_silent(_handler: http.server.BaseHTTPRequestHandler) -> None:
        released.wait(10)

    server.answer = stay_silent
    began = time.monotonic()

    with pytest.raises(StoreTooSlow):
        ask(store)

    assert time.monotonic() - began < 8
    released.set()
    store.close()


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
    ("status", "said"),
    [
        (200, b"<html>Welcome</html>"),
        (302, b""),
        (400, b"Client sent an HTTP request to an HTTPS server.\n"),
        (404, b"404 page not found\xff"),
    ],
)
def test_a_server_that_is_no_influxdb_refuses_no_reading_and_stores_none(
    server: ScriptedServer, store: InfluxStore, status: int, said: bytes
) -> None:
    server.answer = says(status, said)

    asked: list[Callable[[], object]] = [lambda: store.write([READING]), store.latest, store.check]
    for ask in asked:
        with pytest.raises(StoreMisconfigured, match=re.escape(store_url(server))):
            ask()


def test_the_check_of_a_server_that_is_only_busy_does_not_speak_of_versions(
    server: ScriptedServer, store: InfluxStore
) -> None:
    server.answer = says(503, b"<html>no upstream</html>")

    with pytest.raises(StoreUnavailable, match="no upstream"):
        store.check()


def test_a_stream_that_breaks_off_is_unavailable_and_not_taken_for_the_whole(
    server: ScriptedServer, store: InfluxStore
) -> None:
    part = (
        b'{"results":[{"series":[{"name":"m","tags":{"site":"s","device":"d"},'
        b'"columns":["time","boot","seq"],"values":[[1,1,0]]}]}]}\n'
    )

    def break_off(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.close_connection = True

    server.answer = break_off
    stream = store.sequences()

    assert next(stream).seq == 0
    with pytest.raises(StoreUnavailable):
        next(stream)


def test_an_error_within_an_answer_is_an_error(server: ScriptedServer, store: InfluxStore) -> None:
    said = {"results": [{"error": "max-select-buckets limit exceeded"}]}
    server.answer = says(200, msgspec.msgpack.encode(said))

    with pytest.raises(StoreError, match="max-select-buckets"):
        store.latest()


def test_a_token_that_another_thread_renewed_meanwhile_is_used(
    server: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    both_refused = threading.Barrier(2)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.headers["Authorization"] == "Token old":
            both_refused.wait(5)
            says(401, b'{"code": "unauthorized", "message": "no"}')(handler)
        else:
            says(204)(handler)

    server.answer = answer
    place = Place(store_url(server), "denyut", "telemetry")
    store = InfluxStore(place, Secret("old", str(path)))
    path.write_text("new")
    refused: list[object] = []
    threads = [
        threading.Thread(target=lambda: refused.append(store.write([READING]))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    store.close()

    assert refused == [[], []]


def test_a_server_behind_a_path_is_asked_there(server: ScriptedServer) -> None:
    asked: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.path.partition("?")[0])
        says(204)(handler)

    server.answer = answer
    store = InfluxStore(Place(f"{store_url(server)}/influx", "denyut", "telemetry"), Secret("t"))
    store.write([READING])
    store.close()

    assert asked == ["/influx/api/v2/write"]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.8.10", "version 1.8.10"),
        ("v3.1.0", "version 3.1.0"),
        ("", r"not InfluxDB \(204 to /ping\)"),
    ],
)
def test_another_version_is_told_what_is_supported(
    server: ScriptedServer, store: InfluxStore, version: str, words: str
) -> None:
    server.answer = says(204, X_Influxdb_Version=version) if version else says(204)

    with pytest.raises(StoreMisconfigured, match=f"{words}: InfluxDB 2.7 to 2.9 is supported"):
        store.check()


LINES = [b"m,device=d%d,site=s a=1.0 5" % number for number in range(5_000)]


@pytest.mark.parametrize(("divisible", "requests"), [(False, 1), (True, 2)])
def test_many_lines_go_in_two_requests_only_where_they_may_be_divided(
    server: ScriptedServer, store: InfluxStore, divisible: bool, requests: int
) -> None:
    written: list[bytes] = []

    def take(handler: Handler) -> None:
        written.extend(handler.body.split(b"\n"))
        says(204)(handler)

    server.answer = take  # type: ignore[assignment]

    assert store.write_lines(LINES, divisible=divisible) == []
    assert server.requests == requests
    assert sorted(written) == sorted(LINES)


def test_what_is_refused_in_either_request_is_named_by_its_place_among_all(
    server: ScriptedServer, store: InfluxStore
) -> None:
    bad = {7: LINES[7], 4_321: LINES[4_321]}

    def refuse(handler: Handler) -> None:
        found = [one.decode() for one in handler.body.split(b"\n") if one in bad.values()]
        quoted = "\n".join(f"unable to parse '{one}': no" for one in found)
        body = msgspec.json.encode({"code": "invalid", "message": quoted})
        says(400, body)(handler) if found else says(204)(handler)

    server.answer = refuse  # type: ignore[assignment]

    refused = store.write_lines(LINES, divisible=True)

    assert [one.index for one in refused] == list(bad)


@pytest.mark.parametrize("failing", [LINES[0], LINES[-1]], ids=["the first", "the second"])
def test_a_failure_of_either_request_is_told_when_both_have_ended(
    server: ScriptedServer, store: InfluxStore, failing: bytes
) -> None:
    ended: list[int] = []
    has_failed = threading.Event()

    def fail(handler: Handler) -> None:
        is_failing = failing in handler.body.split(b"\n")
        if not is_failing:
            assert has_failed.wait(5)
            time.sleep(0.2)  # whoever does not wait for this one has told the failure by then
        ended.append(503 if is_failing else 204)
        has_failed.set()
        says(ended[-1])(handler)

    server.answer = fail  # type: ignore[assignment]

    with pytest.raises(StoreUnavailable):
        store.write_lines(LINES, divisible=True)

    assert ended == [503, 204]
