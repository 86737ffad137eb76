"""Server-sent events out of bytes, however these are cut."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.client import Feed, NotUnderstood, Reading
from telemetry.client.events import MOST_EVENT_BYTES, End, EventReader, Told

READING = (
    b'{"time":"2026-01-31T12:00:00.250Z","site":"hall","device":"d1","measurement":"weather",'
    b'"values":{"t":21},"boot":null,"seq":7}'
)
TEXT = (
    b"retry: 700\n\n"
    b'id: 5\nevent: feed\ndata: {"live":true,"reason":""}\n\n'
    b"event: reading\ndata: " + READING + b"\n\n"
    b"id: 9\n: alive\n\n"
    b"event: of-tomorrow\ndata: {}\n\n"
    b'event: end\r\ndata: {"reason":"slow",\r\ndata: "detail":"."}\r\n\r\n'
)
TOLD = [
    Told(None, "4"),
    Told(Feed(live=True, reason=""), "5"),
    Told(
        Reading(
            datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC),
            "hall",
            "d1",
            "weather",
            {"t": 21.0},
            None,
            7,
        ),
        "5",
    ),
    Told(None, "9"),
    Told(None, "9"),
    Told(End("slow", "."), "9"),
]


@given(st.lists(st.integers(0, len(TEXT)), max_size=20))
def test_events_are_read_however_their_bytes_are_cut(cuts: list[int]) -> None:
    reader, found = EventReader("4"), []
    ends = [*sorted(cuts), len(TEXT)]
    for start, end in zip([0, *ends], ends, strict=False):
        found += reader.read(TEXT[start:end])
    assert found == TOLD
    assert reader.retry_seconds == 0.7


def test_an_event_that_is_none_is_not_understood() -> None:
    with pytest.raises(NotUnderstood, match="feed"):
        EventReader(None).read(b'event: feed\ndata: {"live":3}\n\n')


def test_an_event_without_an_end_is_not_kept_for_ever() -> None:
    reader, line = EventReader(None), b"data: " + b"x" * (MOST_EVENT_BYTES // 2 + 1) + b"\n"
    assert reader.read(line) == []
    with pytest.raises(NotUnderstood, match="more than"):
        reader.read(line)
