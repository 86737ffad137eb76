"""What a stream tells, whatever pieces it comes in."""

from datetime import UTC, datetime, timedelta

import pytest

from loadtest.heard import Heard
from telemetry.client.errors import NotUnderstood

OPENED = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
BEGIN = b'retry: 750\n\nid: 41\nevent: feed\ndata: {"live":true,"reason":""}\n\n'


def reading(seconds: float) -> bytes:
    """Return the event of a reading that was made so long after the stream was opened."""
    time = (OPENED + timedelta(seconds=seconds)).isoformat()
    told = f'{{"time":"{time}","site":"s","device":"d","measurement":"m","values":{{"x":1}}'
    return f'id: 42\nevent: reading\ndata: {told},"boot":null,"seq":null}}\n\n'.encode()


def test_readings_are_as_old_as_when_they_are_told() -> None:
    heard = Heard(None, OPENED)

    ages_ms = heard.read(BEGIN + reading(1.0) + reading(1.5), OPENED + timedelta(seconds=2))

    assert ages_ms == [1_000, 500]
    assert (heard.events, heard.last_id, heard.retry_seconds) == (3, "42", 0.75)
    assert heard.bytes == len(BEGIN + reading(1.0) + reading(1.5))


def test_an_event_may_come_byte_by_byte() -> None:
    heard = Heard(None, OPENED)
    text = BEGIN + reading(1.0)

    ages_ms = [
        age
        for at in range(len(text))
        for age in heard.read(text[at : at + 1], OPENED + timedelta(seconds=3))
    ]

    assert (ages_ms, heard.events) == ([2_000], 2)


def test_what_a_stream_catches_up_with_is_counted_and_its_age_is_none_of_the_apis() -> None:
    heard = Heard("7", OPENED)

    assert heard.read(BEGIN + reading(-30), OPENED + timedelta(seconds=1)) == []
    assert heard.events == 2


def test_a_device_whose_clock_is_ahead_has_no_reading_from_the_future() -> None:
    assert Heard(None, OPENED).read(reading(60), OPENED + timedelta(seconds=1)) == [0]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b'event: end\ndata: {"reason":"slow","detail":""}\n\n', "the API ended it: slow"),
        (
            b'event: gap\ndata: {"start":"2026-01-01T00:00:00Z","stop":"2026-01-01T01:00:00Z",'
            b'"reason":"too_many"}\n\n',
            "the API left readings out: too_many",
        ),
    ],
)
def test_a_stream_that_ends_or_leaves_something_out_is_no_good(event: bytes, why: str) -> None:
    heard = Heard(None, OPENED)
    heard.read(BEGIN, OPENED)
    assert not heard.why

    heard.read(event, OPENED)

    assert heard.why == why


def test_without_a_new_id_a_stream_goes_on_from_the_old_one() -> None:
    heard = Heard("7", OPENED)
    heard.read(b": alive\n\n", OPENED)

    assert heard.last_id == "7"


def test_what_is_no_event_is_no_stream() -> None:
    with pytest.raises(NotUnderstood):
        Heard(None, OPENED).read(b"event: reading\ndata: {}\n\n", OPENED)
