import socket
import subprocess
import sys

import pytest

from stack.ports import FIRST_PORT, LAST_PORT, PortTaken, require_free, reserve_port
from stack.process import ROOMS

HOST = "127.0.0.1"
_RESERVE_MANY = """
import sys
from stack.ports import reserve_port
held = [reserve_port() for _ in range(200)]
print(*[one.port for one in held], flush=True)
sys.stdin.read()
"""


def test_a_port_is_never_handed_out_twice_in_one_process() -> None:
    held = [reserve_port() for _ in range(500)]

    assert len({one.port for one in held}) == 500
    for one in held:
        one.release()


def test_a_port_is_never_handed_out_twice_over_several_processes() -> None:
    others = [
        subprocess.Popen(
            [sys.executable, "-c", _RESERVE_MANY],
            cwd=ROOMS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ports: list[str] = []
    for other in others:
        assert other.stdout is not None
        ports += other.stdout.readline().split()
    for other in others:
        other.communicate()

    assert len(set(ports)) == len(ports) == 600


def test_a_port_lies_where_no_outgoing_connection_takes_it() -> None:
    reservation = reserve_port()

    assert FIRST_PORT <= reservation.port <= LAST_PORT < 32_768
    reservation.release()


def test_a_port_on_which_something_listens_is_not_handed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr("stack.ports.FIRST_PORT", taken)
        monkeypatch.setattr("stack.ports.LAST_PORT", taken)

        with pytest.raises(PortTaken, match=str(taken)):
            reserve_port()


def test_a_wanted_port_that_is_taken_is_named_with_the_option_to_change() -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]

        with pytest.raises(PortTaken, match=f"port {taken} is taken: .* --port"):
            require_free(HOST, taken, "--port")
