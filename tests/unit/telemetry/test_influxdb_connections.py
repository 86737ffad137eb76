"""The connections of a store that only writes: kept while the server keeps them, and trusted."""

import gc
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.certificates import Authority
from telemetry.store import StoreMisconfigured, StoreUnavailable
from telemetry.store.influxdb.connections import Connections
from telemetry.store.influxdb.exchange import Request
from tests.certificates import server_context, write_authority
from tests.eventually import eventually

HOST = "127.0.0.1"


class Server(http.server.ThreadingHTTPServer):
    """Answers 204, notes who asked, and may close a connection after an answer without a word."""

    daemon_threads = True
    closes = False

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.askers: list[int] = []
        self.ended = 0
        self.port = self.server_address[1]

    def shutdown_request(self, request: object) -> None:
        super().shutdown_request(request)  # type: ignore[arg-type]
        self.ended += 1

    def handle_error(self, *_: object) -> None:
        pass  # a client that hangs up amid the handshake is what a test asks for


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.askers.append(self.client_address[1])
        self.send_response(204)
        self.end_headers()
        self.close_connection = self.server.closes

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()
    thread = threading.Thread(target=scripted.serve_forever, args=(0.01,))
    thread.start()
    yield scripted
    scripted.shutdown()
    scripted.server_close()
    thread.join()


def write(connections: Connections) -> int:
    return connections.send(Request("POST", "/api/v2/write", {}, b"m a=1 1")).status


def test_a_connection_serves_further_requests(server: Server) -> None:
    connections = Connections(f"http://{HOST}:{server.port}", 5.0)

    assert [write(connections) for _ in range(3)] == [204] * 3

    connections.close()
    assert len(server.askers) == 3
    assert len(set(server.askers)) == 1


def test_a_kept_connection_that_the_server_has_closed_is_not_used_again(server: Server) -> None:
    connections = Connections(f"http://{HOST}:{server.port}", 5.0)
    server.closes = True
    for _ in range(3):
        assert write(connections) == 204
        eventually(lambda: server.ended == len(server.askers))

    connections.close()
    assert len(set(server.askers)) == 3


def test_connections_that_nobody_closed_end_with_their_owner(server: Server) -> None:
    connections = Connections(f"http://{HOST}:{server.port}", 5.0)
    write(connections)

    del connections
    gc.collect()

    eventually(lambda: server.ended)


def test_a_server_that_is_away_is_unavailable_by_its_address() -> None:
    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9"):
        write(Connections("http://127.0.0.1:9", 5.0))


@pytest.mark.parametrize("trusted", [True, False])
def test_over_tls_only_a_certificate_of_a_trusted_authority_is_taken(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    authority, other = Authority.make("one"), Authority.make("another")
    trust = write_authority(tmp_path, authority if trusted else other)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    context = server_context(tmp_path, authority.issue_server([HOST]))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    connections = Connections(f"https://{HOST}:{server.port}", 5.0)

    if trusted:
        assert [write(connections) for _ in range(2)] == [204] * 2
        assert len(set(server.askers)) == 1
    else:
        with pytest.raises(StoreMisconfigured, match="certificate"):
            write(connections)
    connections.close()
