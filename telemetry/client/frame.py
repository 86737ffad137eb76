"""Readings as a pandas frame; imported only where one is asked for."""

from collections.abc import Iterable

import pandas as pd

from telemetry.client.answers import Reading

_COLUMNS = ("site", "device", "measurement", "boot", "seq")


def frame_of(readings: Iterable[Reading]) -> pd.DataFrame:
    """Return a row per reading and a column per field, with the times (UTC) as index.

    What a reading lacks is missing. A field named like a column of ours is headed `values.NAME`.
    """
    rows = list(readings)
    index = pd.DatetimeIndex(_times(row.time for row in rows), name="time")
    own = pd.DataFrame(
        {
            "site": pd.Categorical([row.site for row in rows]),
            "device": pd.Categorical([row.device for row in rows]),
            "measurement": pd.Categorical([row.measurement for row in rows]),
            "boot": _times(row.boot for row in rows),
            "seq": pd.array([row.seq for row in rows], dtype="Int64"),
        },
        index=index,
    )
    fields = pd.DataFrame.from_records([row.values for row in rows], index=index)
    fields.columns = [_head(name) for name in fields.columns]
    return pd.concat([own, fields], axis="columns")


def _times(times: Iterable[object]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(list(times), utc=True)).as_unit("ms")


def _head(field: str) -> str:
    return f"values.{field}" if field in _COLUMNS else field
