"""An answer that is lost after InfluxDB has stored the batch, on a real one behind a proxy."""

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from stack.local import LocalStack
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import Selection, StoreUnavailable
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place
from tests.integration.store.conftest import fresh_influx_store

NOW_MS = 1_700_000_000_000


class AnswerEater:
    """Passes requests on to a server, and breaks the connection instead of passing its answer."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.eaten = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(self._server) as server:
                upstream = threading.Thread(target=self._pass, args=(client, server), daemon=True)
                upstream.start()
                self.eaten = server.recv(65_536)
                client.shutdown(socket.SHUT_RDWR)
                upstream.join(5)

    @staticmethod
    def _pass(client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65_536):
            server.sendall(data)


@pytest.fixture
def eater(influxdb: LocalStack) -> Iterator[AnswerEater]:
    parts = urlsplit(influxdb.store_url)
    assert parts.hostname
    assert parts.port
    eater = AnswerEater(parts.hostname, parts.port)
    yield eater
    eater.close()


def test_a_batch_whose_answer_was_lost_is_written_again_and_stored_once(
    influxdb: LocalStack, eater: AnswerEater
) -> None:
    direct = fresh_influx_store(influxdb)
    bucket = direct.place.bucket
    token = Secret((influxdb.folder / "influxdb" / "operator-token").read_text())
    cut = InfluxStore(Place(f"http://127.0.0.1:{eater.port}", "denyut", bucket), token)
    batch = [Reading("s", "d", "m", NOW_MS + n, {"a": float(n)}, NOW_MS, n) for n in range(500)]
    everything = Selection(start_ms=0, stop_ms=NOW_MS * 2)

    with pytest.raises(StoreUnavailable):
        cut.write(batch)

    assert b" 204 " in eater.eaten
    assert direct.readings(everything, limit=1000) == batch
    assert direct.write(batch) == []
    assert direct.readings(everything, limit=1000) == batch
