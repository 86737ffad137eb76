"""How an answer travels: its tag, so that it need not travel twice, and its compression."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from flask import Request, Response

from api.openapi.declaration import CSV, JSON, NDJSON, TEXT

_WORTH_BYTES = 1_024
_COMPRESSED = frozenset({JSON, CSV, NDJSON, TEXT, "text/html", "application/problem+json"})
_LEVEL = 1  # a third of level 6's time for a tenth more bytes
_GZIP_WINDOW = 31
_TAG_BYTES = 12


def tagged(response: Response, request: Request) -> Response:
    """Give a JSON answer a tag, and leave its body out where the asker has the same already.

    The tag is weak: compressed or not, it is the same answer.
    """
    if (
        response.status_code == 200
        and response.mimetype == JSON
        and request.method in ("GET", "HEAD")
        and not response.is_streamed
    ):
        digest = hashlib.blake2b(response.get_data(), digest_size=_TAG_BYTES)
        response.set_etag(digest.hexdigest(), weak=True)
        response.make_conditional(request)
    return response


def compressed(response: Response, request: Request) -> Response:
    """Compress an answer with gzip where the asker takes it and it is worth it.

    A stream is compressed as it goes; events are not, since each is to arrive when it happens.
    """
    if response.mimetype not in _COMPRESSED or response.status_code in (204, 304):
        return response
    response.vary.add("Accept-Encoding")
    if response.content_encoding or request.accept_encodings.quality("gzip") <= 0:
        return response
    if response.is_streamed:
        response.response = _Compressed(response.response)
        response.headers.pop("Content-Length", None)
    elif len(response.get_data()) >= _WORTH_BYTES:
        response.set_data(_gzip(response.get_data()))
    else:
        return response
    response.content_encoding = "gzip"
    return response


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()


class _Compressed:
    """A stream's parts, compressed as they come; closing it closes what it is made of."""

    def __init__(self, parts: Iterable[bytes | str]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
        for part in self._parts:
            done = compressor.compress(part.encode() if isinstance(part, str) else part)
            if done:
                yield done
        yield compressor.flush()

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()
