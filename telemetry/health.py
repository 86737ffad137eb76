"""Health: whether the process lives, and whether what it depends on answers."""

import socket
from collections.abc import Callable, Mapping

Check = Callable[[], str | None]
"""A dependency's check: None where all is well, else what is wrong, in one line for a person."""


def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Return whether every dependency answers, and each one's word by its name."""
    words = {name: check() for name, check in checks.items()}
    ready = all(word is None for word in words.values())
    return ready, {name: "ok" if word is None else word for name, word in words.items()}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, though nobody answers there yet; OSError where it cannot."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _type, _protocol, _name, address = found[0]
    return socket.create_server(address, family=family)
