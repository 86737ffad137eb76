"""What a session wants of HTTP: it sends a request and gets an answer, whoever carries them."""

from collections.abc import Generator, Mapping
from typing import Protocol

from msgspec import Struct

PIECE_BYTES = 1 << 16

Pieces = Generator[bytes, None, None]


class Request(Struct, frozen=True):
    """What is asked; with `in_pieces` an answer of 200 is not read yet, any other is read whole."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = None
    in_pieces: bool = False


class Headers(Protocol):
    """An answer's headers, found by names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value, or the default where there is none."""


class Answer(Struct, frozen=True):
    """An answer of any status: its `data`, or what is still to be read, in `pieces`.

    Those raise StoreError where the rest does not come, and are to be closed.
    """

    status: int
    headers: Headers
    data: bytes = b""
    pieces: Pieces | None = None


class Exchange(Protocol):
    """Carries requests to one server; threads may share it."""

    def send(self, request: Request) -> Answer:
        """Send a request once, and raise StoreError where no answer comes."""

    def close(self) -> None:
        """Close the connections."""
