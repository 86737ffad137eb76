import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from broker import probe

HOST = "127.0.0.1"


@contextmanager
def _answering(*answers: bytes) -> Iterator[int]:
    """Serve one connection, each packet that comes with the next answer; yield the port."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            # Who asked may leave before the end of an answer that makes no sense.
            with connection, suppress(ConnectionError):
                for answer in answers:
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
    with _answering(b"\x20\x83\x01\x00\x86" + b"\x00" * 129) as port:
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


CONNACK = b"\x20\x03\x00\x00\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x00"
PUBLISH = b"\x31\x0c\x00\x05$SYS/\x00word"


@pytest.mark.parametrize("answer", [SUBACK + PUBLISH, PUBLISH, PUBLISH + SUBACK])
def test_a_retained_message_comes_behind_or_before_the_answer(answer: bytes) -> None:
    with _answering(CONNACK, answer) as port:
        assert probe.retained(HOST, port, "user", "word", "$SYS/") == "word"


def test_a_broker_that_refuses_the_client_retains_nothing_for_it() -> None:
    with (
        _answering(b"\x20\x03\x00\x87\x00") as port,
        pytest.raises(probe.NoBroker, match="refuses user with reason 0x87"),
    ):
        probe.retained(HOST, port, "user", "word", "$SYS/")


def test_a_broker_that_delivers_nothing_is_named() -> None:
    with _answering(CONNACK, SUBACK) as port, pytest.raises(probe.NoBroker, match="closed"):
        probe.retained(HOST, port, "user", "word", "$SYS/")
