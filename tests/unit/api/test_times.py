from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.times import Duration, Moment, rfc3339

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1700000000123", 1_700_000_000_123),
        ("0", 0),
        ("2023-11-14T22:13:20Z", NOW_MS),
        ("2023-11-14t22:13:20.25z", NOW_MS + 250),
        ("2023-11-15T05:13:20.001999+07:00", NOW_MS + 1),
        ("now", NOW_MS),
        ("-1h", NOW_MS - 3_600_000),
        ("-250ms", NOW_MS - 250),
        ("-2d", NOW_MS - 172_800_000),
    ],
)
def test_a_moment_is_read_in_every_form_that_people_write(text: str, expected_ms: int) -> None:
    assert Moment.parse(text).at(NOW_MS) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        *["", "-", "1h", "+1h", "-1", "-0s", "-1y", "yesterday", "12e3", "²", "9" * 30, "1 "],
        *["2023-11-14", "2023-11-14T22:13:20", "2023-02-30T00:00:00Z", "1969-12-31T23:59:59Z"],
        *["2023-11-14T22:13:20Z; DROP TABLE reading", "2300-01-01T00:00:00Z"],
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Moment.parse(text)


def test_a_relative_moment_does_not_reach_back_before_the_epoch() -> None:
    assert Moment.parse("-90000d").at(NOW_MS) == 0


@pytest.mark.parametrize("text", ["", "0s", "10", "s", "-1s", "1.5s", "10S", "1w", "9" * 12 + "d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Duration.parse(text)


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_is_answered_so_that_it_reads_back_as_the_same(time_ms: int) -> None:
    text = rfc3339(time_ms)
    assert text.endswith("Z")
    read = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert round(read.total_seconds() * 1000) == time_ms
