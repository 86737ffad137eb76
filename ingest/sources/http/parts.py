"""A body becomes payloads: one, a line each, or line protocol cut between two points."""

import re
from typing import Literal

from msgspec import Struct

from ingest.sources.http.problems import Problem, too_large
from ingest.sources.lines import LineSplitter
from telemetry.payload import CONTENT_TYPES, format_of

LINES = frozenset(("application/x-ndjson", "application/ndjson", "application/jsonl"))
"""A payload a line; the others of these types are one payload."""

BY_LOOK = frozenset(("", "application/json", "text/plain", "application/octet-stream"))
"""Types that leave it to the payload what it is."""

TAKEN = ("application/json", "application/x-ndjson", *CONTENT_TYPES)

MOST_LINES = 20_000
"""So many lines a body may have: each is a payload of its own, to be kept and answered for."""

_MARK = re.compile(rb'\\[\s\S]|["\n]')


class Parts(Struct, frozen=True):
    """The payloads of one body; `counted_by` is how the sender is told which one is meant."""

    payloads: list[bytes]
    content_type: str | None
    counted_by: Literal["line", "index"]


def media_type(header: str) -> str:
    """Return the bare type of a Content-Type; raises Problem, 415, where it is not read."""
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    charset = next((one for one in parameters if one.startswith("charset=")), "charset=utf-8")
    is_utf_8 = charset.removeprefix("charset=").strip('"') in ("utf-8", "us-ascii")
    if not is_utf_8 or kind not in LINES | BY_LOOK | CONTENT_TYPES.keys():
        raise Problem(
            415,
            f"Taken, in UTF-8, are {', '.join(TAKEN)}.",
            name="unknown-content-type",
            headers={"Accept": ", ".join(TAKEN)},
            is_last=True,
        )
    return kind


def parts_of(body: bytes, kind: str, most_bytes: int) -> Parts:
    """Return the payloads of a body; raises Problem where one of them is too large."""
    if not body.strip():
        raise Problem(400, "The body is empty.", name="bad-body")
    if kind in LINES:
        return Parts(_lines(body, most_bytes), None, "line")
    content_type = None if kind in BY_LOOK else kind
    if len(body) <= most_bytes:
        return Parts([body], content_type, "index")
    if format_of(body, content_type) != "line":
        raise too_large(
            f"A payload of up to {most_bytes:,} bytes is taken; several go into one body as lines, "
            "with the type application/x-ndjson."
        )
    return Parts(_points(body, most_bytes), content_type, "index")


def _lines(body: bytes, most_bytes: int) -> list[bytes]:
    if body.count(b"\n") > MOST_LINES:
        raise too_large(f"A body of up to {MOST_LINES:,} lines is taken.")
    splitter = LineSplitter(most_bytes)
    lines = [*splitter.feed(body), *splitter.feed(b"\n")]
    trouble = splitter.trouble
    if trouble is not None and trouble.line is None:
        raise Problem(400, f"The body is not taken: {trouble.error}.", name="bad-body")
    if trouble is not None:
        raise too_large(f"The body is not taken: {trouble.error} (line {trouble.line}).")
    return lines


def _points(body: bytes, most_bytes: int) -> list[bytes]:
    """Cut line protocol between points: a newline in a text is not the end of one."""
    pieces = []
    begin = 0
    while len(body) - begin > most_bytes:
        end = _end_of_points(body, begin, begin + most_bytes)
        pieces.append(body[begin:end])
        begin = end
    return [*pieces, body[begin:]]


def _end_of_points(body: bytes, begin: int, most: int) -> int:
    """Return where the last point ends that ends before `most`."""
    end = body.rfind(b"\n", begin, most) if body.find(b'"', begin, most) < 0 else -1
    is_text = False
    if end < 0:
        for mark in _MARK.finditer(body, begin, most):
            if mark[0] == b'"':
                is_text = not is_text
            elif mark[0] == b"\n" and not is_text:
                end = mark.start()
    if end < 0:
        raise too_large(f"A point of up to {most - begin:,} bytes is taken.")
    return end + 1
