"""Secrets that come by standard input, for a container that has no files: one JSON object.

`exchange` reads nothing else. `backup` and `restore` take it as the first line where they are told
`--secrets-from-stdin`.
"""

from typing import Annotated, BinaryIO, TypeVar

import msgspec
from msgspec import Meta, Struct

from stack.setup.plan import ServiceName
from stack.setup.server import SENDABLE, RequestRefused

_MOST_BYTES = 65_536

Token = Annotated[str, Meta(pattern=SENDABLE)]
MaybeToken = Annotated[str, Meta(pattern=rf"^\Z|{SENDABLE}")]


class OperatorSecret(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a backup and a restore need."""

    operator_token: Token


class ExchangeRequest(OperatorSecret, forbid_unknown_fields=True, kw_only=True):
    """What an exchange is given, and which of its three further steps it shall do."""

    admin_password: Annotated[str, Meta(min_length=1)] | None = None
    tokens: dict[ServiceName, MaybeToken] = {}
    rotate: bool = False
    retire: bool = False
    new_operator: bool = False


Given = TypeVar("Given", bound=OperatorSecret)


def read_object(stdin: BinaryIO, kind: type[Given]) -> Given:
    """Return the one object that all of standard input is."""
    return _decoded(stdin.read(_MOST_BYTES + 1), kind)


def read_line(stdin: BinaryIO) -> OperatorSecret:
    """Return the object of the first line; what follows stays unread."""
    return _decoded(stdin.readline(_MOST_BYTES + 1), OperatorSecret)


def _decoded(text: bytes, kind: type[Given]) -> Given:
    if len(text) > _MOST_BYTES:
        raise RequestRefused(f"standard input: more than {_MOST_BYTES} bytes for one JSON object")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8 text"
        # Without the error's own trace: its cause holds what was read.
        raise RequestRefused(f"standard input is not the JSON that is needed: {reason}") from None
