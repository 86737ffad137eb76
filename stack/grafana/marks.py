"""A file of marks, as a load test leaves one in `build/loadtest/annotations.json`."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from stack.grafana import GrafanaError

MOST_TEXT = 1_000
_MOST_MARKS, _MOST_BYTES = 1_000, 2_000_000

Tag = Annotated[str, Meta(min_length=1, max_length=100)]


class Mark(Struct, frozen=True, rename="camel"):
    """A mark by the names of Grafana's API; times in ms since the epoch."""

    time: Annotated[int, Meta(ge=0)]
    time_end: Annotated[int, Meta(ge=0)]
    tags: list[Tag]
    text: Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]


def read_marks(path: Path) -> list[Mark]:
    """Return the marks of a file. Raises GrafanaError where it is none, or has too many."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        marks = msgspec.json.decode(data, type=list[Mark])
    except OSError as error:
        raise GrafanaError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise GrafanaError(f"{path} holds no marks: {error}") from error
    if len(data) > _MOST_BYTES or len(marks) > _MOST_MARKS:
        raise GrafanaError(f"{path}: more than {_MOST_MARKS} marks")
    return marks
