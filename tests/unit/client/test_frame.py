"""Readings as a pandas frame."""

from datetime import UTC, datetime

from telemetry.client import Reading
from telemetry.client.frame import frame_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ONE = datetime(2026, 1, 31, 13, tzinfo=UTC)


def test_a_row_is_a_reading_and_a_column_a_field() -> None:
    frame = frame_of(
        [
            Reading(NOON, "hall", "d1", "weather", {"t": 21.5, "device": "x"}, NOON, 7),
            Reading(ONE, "hall", "d2", "air", {"co2": 400.0, "ok": True}, None, None),
        ]
    )
    assert list(frame.columns) == [
        *("site", "device", "measurement", "boot", "seq"),
        *("t", "values.device", "co2", "ok"),
    ]
    assert list(frame.index) == [NOON, ONE]
    assert str(frame.index.tz) == "UTC"
    assert frame["t"].dtype == float
    assert frame["seq"].dtype == "Int64"
    assert frame.loc[frame.device == "d1", "seq"].item() == 7
    assert frame.isna().sum().to_dict() == {
        **dict.fromkeys(("site", "device", "measurement"), 0),
        **dict.fromkeys(("boot", "seq", "t", "values.device", "co2", "ok"), 1),
    }


def test_no_readings_are_a_frame_without_rows() -> None:
    frame = frame_of([])
    assert list(frame.columns) == ["site", "device", "measurement", "boot", "seq"]
    assert frame.empty
