"""A container's health check: `python -I -S healthcheck.py PORT` asks the service on that port.

Until /readyz has said 200 once, that is asked, from then on /healthz (docs/decisions/0015). Exit
code 0 or 1, and one line that says why. It runs every few seconds beside each service, so that
it has only light imports: not even pathlib.
"""
# ruff: noqa: PTH110, PTH123

import os
import socket
import sys

_SECONDS = 3.0
_MOST_BYTES = 4096  # what Docker keeps of a check's output
_OK = 200


def main() -> None:
    """Ask, and exit with 1 and a line that says why where the service is not well."""
    port = int(sys.argv[1])
    # On a file system in memory: a new container begins anew.
    was_ready = f"{os.environ.get('TMPDIR') or '/tmp'}/was-ready-{port}"  # noqa: S108
    path = "/healthz" if os.path.exists(was_ready) else "/readyz"
    try:
        status, body = _ask(port, path)
    except (OSError, ValueError) as error:
        sys.exit(f"127.0.0.1:{port}{path}: {error}")
    if status != _OK:
        sys.exit(f"{path} says {status}: {body}")
    if path == "/readyz":
        _note(was_ready)
    print(f"{path} says {status}")


def _ask(port: int, path: str) -> tuple[int, str]:
    """Return the status and the body's beginning, as one line."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = b""
    with socket.socket() as connection:
        connection.settimeout(_SECONDS)
        connection.connect(("127.0.0.1", port))
        connection.sendall(request.encode())
        while len(answer) < _MOST_BYTES and (more := connection.recv(_MOST_BYTES)):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/"):
        raise ValueError("what answers is not HTTP")
    return int(rest[:3]), " ".join(body.decode("utf-8", "replace").split())


def _note(path: str) -> None:
    try:
        with open(path, "x"):
            pass
    except OSError as error:
        # Well all the same; the next check asks whether it is ready once more.
        print(f"{path}: {error.strerror}", end="; ")


if __name__ == "__main__":
    main()
