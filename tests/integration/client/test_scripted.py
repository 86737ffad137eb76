"""What a healthy API never says, and when: refusals for a while, other servers, other pages."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from msgspec import Struct

from broker.certificates import Authority
from telemetry.client import Client, Feed, NotUnderstood, Problem, Unavailable, Unreachable
from tests.certificates import server_context, write_authority

HOST = "127.0.0.1"
DEVICES = b'{"devices":[],"count":0,"truncated":false,"next":null}'
BUSY = (
    b'{"type":"urn:denyut:problem:busy","title":"Too Many Requests","status":429,"detail":"Later."}'
)


class Say(Struct):
    """One answer; the connection is cut after it where it is not whole."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    is_whole: bool = True


class Script:
    """A server that says one thing after the other, the last one again and again."""

    def __init__(self, *says: Say, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._says = list(says)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                self.rfile.read(length)
                script.asked.append((f"{self.command} {self.path}", dict(self.headers)))
                say = script.next()
                self.send_response(say.status)
                for name, value in say.headers.items():
                    self.send_header(name, value)
                size = len(say.body) if say.is_whole else len(say.body) + 1
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(say.body)
                self.close_connection = not say.is_whole

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])

    def next(self) -> Say:
        return self._says.pop(0) if len(self._says) > 1 else self._says[0]

    @contextmanager
    def running(self) -> Iterator["Script"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@contextmanager
def client_of(script: Script, patience_seconds: float = 30.0) -> Iterator[Client]:
    url = f"http://{HOST}:{script.port}"
    with script.running(), Client(url, patience_seconds=patience_seconds) as client:
        yield client


@pytest.mark.parametrize("status", [429, 503])
def test_a_question_is_asked_again_when_the_api_says(status: int) -> None:
    script = Script(Say(status, BUSY, {"Retry-After": "1"}), Say(200, DEVICES))
    with client_of(script) as client:
        began_s = time.monotonic()
        assert list(client.devices()) == []
        assert time.monotonic() - began_s >= 1.0
    assert len(script.asked) == 2


def test_patience_ends_where_the_api_wants_more_of_it() -> None:
    later = formatdate(time.time() + 3_600, usegmt=True)
    script = Script(Say(503, BUSY, {"Retry-After": later, "X-Request-ID": "r1"}))
    with client_of(script, patience_seconds=60) as client:
        began_s = time.monotonic()
        with pytest.raises(Unavailable, match="Later") as refusal:
            client.fleet()
        assert time.monotonic() - began_s < 5
    assert refusal.value.request_id == "r1"
    assert refusal.value.retry_after_seconds == pytest.approx(3_600, abs=5)


def test_a_command_is_not_sent_again_where_it_may_have_been_obeyed() -> None:
    script = Script(Say(503, BUSY))
    with client_of(script) as client, pytest.raises(Unavailable):
        client.command("d1", "reboot")
    assert len(script.asked) == 1


def test_a_command_that_was_refused_before_it_was_sent_is_sent_again() -> None:
    answer = b'{"device":"d1","name":"reboot","ok":true,"answer":{}}'
    script = Script(Say(429, BUSY), Say(200, answer))
    with client_of(script) as client:
        assert client.command("d1", "reboot").ok
    assert [line for line, _ in script.asked] == ["POST /v1/devices/d1/commands/reboot"] * 2


@pytest.mark.parametrize(
    "say",
    [
        Say(200, b"<html>"),
        Say(200, b'{"devices":3}'),
        Say(200, b'{"devices":[],"count":0,"truncated":true,"next":"/elsewhere"}'),
        Say(302, b"", {"Location": "http://127.0.0.2/"}),
    ],
)
def test_an_answer_that_is_none_of_the_apis_is_not_understood(say: Say) -> None:
    script = Script(say)
    with client_of(script) as client, pytest.raises(NotUnderstood):
        list(client.devices())
    assert len(script.asked) == 1


def test_a_server_that_takes_a_question_and_is_silent_is_unreachable() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}"
        with Client(url, timeout_seconds=0.2, patience_seconds=0) as client:
            began_s = time.monotonic()
            with pytest.raises(Unreachable, match="timed out"):
                client.fleet()
            assert time.monotonic() - began_s < 5


def test_the_words_of_a_proxy_are_a_problem_all_the_same() -> None:
    script = Script(Say(502, b"<html>bad gateway"))
    with client_of(script) as client, pytest.raises(Problem, match="502: Bad Gateway"):
        client.fleet()


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    script = Script(Say(200, DEVICES, is_whole=False), Say(200, DEVICES))
    with client_of(script) as client:
        assert list(client.devices()) == []
    assert len(script.asked) == 2


def test_the_next_page_is_asked_of_the_path_that_was_asked() -> None:
    first = DEVICES.replace(b"null", b'"/v1/devices?limit=1&cursor=abc"')
    script = Script(Say(200, first), Say(200, DEVICES))
    with script.running(), Client(f"http://{HOST}:{script.port}/denyut") as client:
        assert list(client.devices(site="hall")) == []
    assert [line for line, _ in script.asked] == [
        "GET /denyut/v1/devices?site=hall",
        "GET /denyut/v1/devices?site=hall&cursor=abc",
    ]


def test_a_stream_waits_for_an_api_that_is_away_and_goes_on_from_its_id() -> None:
    events = {"Content-Type": "text/event-stream; charset=utf-8"}
    feed = b'retry: 10\nid: 41\nevent: feed\ndata: {"live":true,"reason":""}\n\n'
    script = Script(
        Say(200, feed + b"event: reading\ndata: {", events, is_whole=False),
        Say(502, b"<html>"),
        Say(429, BUSY, {"Retry-After": "0"}),
        Say(200, feed, events),
        Say(401, BUSY),
    )
    with client_of(script) as client, client.stream() as stream:
        assert [next(stream), next(stream)] == [Feed(live=True, reason="")] * 2
        assert stream.reconnects == 1
        with pytest.raises(Problem, match="Later"):
            next(stream)
    assert [headers.get("Last-Event-ID") for _, headers in script.asked] == [None] + ["41"] * 4


def test_only_a_server_that_the_authority_has_signed_is_told_the_key(tmp_path: Path) -> None:
    ours, theirs = Authority.make("ours"), Authority.make("theirs")
    ca_file = write_authority(tmp_path, ours)
    for authority, is_trusted in ((ours, True), (theirs, False)):
        context = server_context(tmp_path, authority.issue_server(["localhost", HOST]))
        script = Script(Say(200, DEVICES), tls=context)
        with (
            script.running(),
            Client(
                f"https://localhost:{script.port}",
                key="dnyt_one",
                ca_file=ca_file,
                patience_seconds=0.5,
            ) as client,
        ):
            if is_trusted:
                assert list(client.devices()) == []
                assert script.asked[0][1]["Authorization"] == "Bearer dnyt_one"
            else:
                with pytest.raises(Unreachable, match=r"(?i)certificate"):
                    list(client.devices())
                assert script.asked == []
