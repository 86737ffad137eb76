"""The proxies of the fault table: what they do to a link, and to a store's answers."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.faults import packets
from stack.faults.link_proxy import LinkProxy, Shape
from stack.faults.store_proxy import Scripted, StoreProxy, everything, writes_only
from tests.eventually import eventually

_PATIENCE_SECONDS = 0.3
_DATA = bytes(range(256)) * 8


@contextmanager
def echo_server() -> Iterator[int]:
    """A server that sends back what it gets, one thread a connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _peer = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def echo() -> Iterator[int]:
    with echo_server() as port:
        yield port


def connect(proxy: LinkProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def receive(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := connection.recv(size - len(found))):
        found += data
    return found


def test_a_link_passes_on_what_comes_in_both_directions(echo: int) -> None:
    with LinkProxy(echo) as proxy, connect(proxy) as connection:
        connection.sendall(_DATA)

        assert receive(connection, len(_DATA)) == _DATA
        assert proxy.connections == 1


def test_a_cut_link_is_silent_and_not_closed_until_it_is_restored(echo: int) -> None:
    with LinkProxy(echo) as proxy, connect(proxy) as connection:
        connection.sendall(b"before")
        assert receive(connection, 6) == b"before"
        proxy.cut()
        connection.sendall(b"during")
        connection.settimeout(_PATIENCE_SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(1)

        proxy.restore()

        connection.settimeout(5)
        assert receive(connection, 6) == b"during"


def test_a_sliced_and_jittery_link_keeps_the_order(echo: int) -> None:
    shape = Shape(single_bytes=1 << 20, jitter_seconds=0.05)
    with LinkProxy(echo, shape=shape) as proxy, connect(proxy) as connection:
        for place in range(0, len(_DATA), 100):
            connection.sendall(_DATA[place : place + 100])

        assert receive(connection, len(_DATA)) == _DATA
        assert proxy.single_writes == 2 * len(_DATA)


def test_chosen_packets_are_lost_and_the_others_arrive(echo: int) -> None:
    puback, pubrec = (packets.answer(kind, 7) for kind in (packets.PUBACK, packets.PUBREC))
    with (
        LinkProxy(echo, loses=lambda _direction, packet: packet == pubrec) as proxy,
        connect(proxy) as connection,
    ):
        connection.sendall(puback + pubrec + puback)

        assert receive(connection, 2 * len(puback)) == 2 * puback
        assert proxy.lost_packets == 1


def test_an_aborted_link_breaks_and_a_new_one_is_served(echo: int) -> None:
    with LinkProxy(echo) as proxy:
        with connect(proxy) as connection:
            connection.sendall(b"x")
            receive(connection, 1)
            proxy.abort()
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        with connect(proxy) as connection:
            connection.sendall(b"y")

            assert receive(connection, 1) == b"y"


class Store(BaseHTTPRequestHandler):
    """Answers every write with 204 and notes its body."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[ThreadingHTTPServer]:
    Store.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def before(store: ThreadingHTTPServer) -> Iterator[tuple[StoreProxy, http.client.HTTPConnection]]:
    with StoreProxy(f"http://127.0.0.1:{store.server_port}") as proxy:
        host, _, port = proxy.url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            yield proxy, connection
        finally:
            connection.close()


def write(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/api/v2/write?bucket=telemetry", b"m v=1")
    response = connection.getresponse()
    response.read()
    return response.status


def test_a_write_is_passed_on_and_noted(store: ThreadingHTTPServer) -> None:
    with before(store) as (proxy, connection):
        assert write(connection) == 204
        assert Store.bodies == [b"m v=1"]
        assert [one.status for one in proxy.writes()] == [204]


def test_a_scripted_answer_never_reaches_the_store(store: ThreadingHTTPServer) -> None:
    with before(store) as (proxy, connection):
        proxy.choose = writes_only(Scripted(503, {"Retry-After": "7"}))

        assert write(connection) == 503
        assert Store.bodies == []


def test_requests_of_one_connection_are_told_from_those_of_another(
    store: ThreadingHTTPServer,
) -> None:
    with before(store) as (proxy, connection):
        for _time in range(2):
            write(connection)
        connection.close()
        write(connection)

        first, second, third = (one.connection for one in proxy.writes())
        assert first == second != third


def test_silence_lasts_until_the_caller_gives_up(store: ThreadingHTTPServer) -> None:
    with before(store) as (proxy, connection):
        proxy.choose = everything("silent")
        connection.timeout = _PATIENCE_SECONDS
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            write(connection)
        connection.close()

        assert time.monotonic() - began >= _PATIENCE_SECONDS
        eventually(lambda: proxy.writes()[0].ended, what="the end of the request")
        assert proxy.writes()[0].status is None


def test_a_lost_answer_is_one_whose_write_was_stored(store: ThreadingHTTPServer) -> None:
    with before(store) as (proxy, connection):
        proxy.choose = everything("lose answer")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            write(connection)

        assert Store.bodies == [b"m v=1"]
