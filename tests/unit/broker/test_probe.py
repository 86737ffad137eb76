import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from broker import probe

HOST = "127.0.0.1"


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """Serve one connection with a fixed answer; yield the port."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            # Who asked may leave before the end of an answer that makes no sense.
            with connection, suppress(ConnectionError):
                connection.recv(1024)
                for byte in answer:
                    connection.sendall(bytes([byte]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


def test_the_reason_is_read_from_a_connack_that_comes_byte_by_byte() -> None:
    with _answering(b"\x20\x03\x00\x87\x00") as port:
        assert probe.connect_reason(HOST, port, "user", "word") == probe.NOT_AUTHORIZED


def test_the_reason_is_read_behind_a_length_of_two_bytes() -> None:
    with _answering(b"\x20\x83\x01\x00\x86" + b"\x00" * 128) as port:
        assert probe.connect_reason(HOST, port, None, None) == probe.BAD_CREDENTIALS


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_is_no_broker_is_named_as_such(answer: bytes) -> None:
    with _answering(answer) as port, pytest.raises(probe.NoBroker):
        probe.connect_reason(HOST, port, "user", "word")


def test_a_closed_port_is_named() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(probe.NoBroker, match=str(port)):
        probe.connect_reason(HOST, port, "user", "word")
