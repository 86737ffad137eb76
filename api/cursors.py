"""Cursors: where an answer ended, in a text that means something only to this API.

base64url of a checksum and a MessagePack. The checksum takes the question in as well, so that a
cursor that was changed, or that comes with another question, is refused. It is no secret: a cursor
tells nothing and allows nothing that the question would not, and every replica can read it.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from flask import Request, Response
from msgspec import Struct

from api.problems import BadQuestion

_CHECKSUM_BYTES = 12
_REFUSAL = "cursor: not one of this question's; it is given as `next` with an answer."

Place = TypeVar("Place")

_encode = msgspec.msgpack.Encoder().encode


def cursor_of(question: Struct, place: object) -> str:
    """Return the cursor of a place in the answer to a question."""
    packed = _encode(place)
    return urlsafe_b64encode(_checksum(question, packed) + packed).rstrip(b"=").decode()


def place_of(cursor: str, question: Struct, kind: type[Place]) -> Place:
    """Return the place of a cursor; BadQuestion where it is not one of the question's."""
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        checksum, packed = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        if hmac.compare_digest(checksum, _checksum(question, packed)):
            return msgspec.msgpack.decode(packed, type=kind)
    except (ValueError, msgspec.DecodeError):
        pass
    raise BadQuestion("cursor", _REFUSAL)


def next_path(request: Request, cursor: str) -> str:
    """Return the request's path and question, with another cursor."""
    given: dict[str, Any] = {**request.args.to_dict(), "cursor": cursor}
    return f"{quote(request.path)}?{urlencode(given)}"


def with_link(response: Response, path: str | None) -> Response:
    """Name the next page in a header as well (RFC 8288), if there is one."""
    if path is not None:
        response.headers["Link"] = f'<{path}>; rel="next"'
    return response


def _checksum(question: Struct, packed: bytes) -> bytes:
    asked = _encode((type(question).__name__, question))
    return blake2b(asked + packed, digest_size=_CHECKSUM_BYTES, person=b"denyut-cursor").digest()
