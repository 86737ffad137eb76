"""Which bucket answers which part of a range, and what of a bucket is aggregated."""

import pytest

from telemetry.store import Aggregate, Resolution, Selection
from telemetry.store.influxdb.catalogue import KEEP_SECONDS, Catalogue
from telemetry.store.influxdb.questions import Column
from telemetry.store.influxdb.resolution import (
    HOUR_MS,
    MINUTE_MS,
    SETTLED_AFTER_MS,
    parts,
    resolution_of,
)
from telemetry.store.influxdb.session import Rows

NOW_MS = 1_700_000_000_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    ("span_ms", "every_ms", "aggregate", "expected"),
    [
        (5 * HOUR_MS, MINUTE_MS, "mean", "raw"),
        (6 * HOUR_MS, MINUTE_MS, "mean", "1m"),
        (6 * HOUR_MS, 5 * MINUTE_MS, "max", "1m"),
        (6 * HOUR_MS, 90_000, "mean", "raw"),
        (6 * HOUR_MS, MINUTE_MS, "p95", "raw"),
        (6 * HOUR_MS, MINUTE_MS, "last", "raw"),
        (7 * DAY_MS, HOUR_MS, "sum", "1h"),
        (7 * DAY_MS, 90 * MINUTE_MS, "sum", "1m"),
        (6 * DAY_MS, HOUR_MS, "sum", "1m"),
    ],
)
def test_a_long_range_is_answered_from_the_coarsest_that_its_intervals_fit(
    span_ms: int, every_ms: int, aggregate: Aggregate, expected: Resolution
) -> None:
    selection = Selection(start_ms=NOW_MS - span_ms, stop_ms=NOW_MS)

    assert resolution_of(selection, every_ms, aggregate) == expected


@pytest.mark.parametrize("resolution", ["1m", "1h"])
@pytest.mark.parametrize("start_ms", [NOW_MS - 9 * DAY_MS, NOW_MS - DAY_MS + 1, NOW_MS - HOUR_MS])
@pytest.mark.parametrize("stop_ms", [NOW_MS + 5, NOW_MS - 12 * HOUR_MS - 7])
def test_the_parts_of_a_range_are_the_range(
    resolution: Resolution, start_ms: int, stop_ms: int
) -> None:
    interval_ms = MINUTE_MS if resolution == "1m" else HOUR_MS
    selection = Selection(
        start_ms=start_ms, stop_ms=stop_ms, measurement="m", fields=("a",), except_site="denyut"
    )

    found = list(parts(selection, resolution, NOW_MS))

    at_ms = start_ms
    for held_in, part in found:
        assert (part.start_ms, part.fields, part.except_site) == (at_ms, ("a",), "denyut")
        at_ms = part.stop_ms
        if held_in != "raw":
            assert part.start_ms % interval_ms == part.stop_ms % interval_ms == 0
            assert part.stop_ms <= NOW_MS - SETTLED_AFTER_MS[resolution]
    assert at_ms == stop_ms
    raw_ms = sum(part.stop_ms - part.start_ms for held_in, part in found if held_in == "raw")
    if start_ms < stop_ms - DAY_MS:
        assert raw_ms < 2 * interval_ms + SETTLED_AFTER_MS[resolution] + 5


class Server:
    """Answers what a catalogue asks, and the time."""

    def __init__(self, keys: dict[str, list[tuple[str, str]]], sites: dict[str, list[str]]) -> None:
        self.keys = keys
        self.sites = sites
        self.asked: list[str] = []
        self.now = 0.0

    def ask(self, bucket: str, statement: str) -> list[Rows]:
        if statement == "SHOW FIELD KEYS":
            self.asked.append(bucket)
            return [
                Rows(
                    name=name, columns=["fieldKey", "fieldType"], values=[list(one) for one in keys]
                )
                for name, keys in self.keys.items()
            ]
        return [
            Rows(name=name, columns=["key", "value"], values=[["site", site] for site in sites])
            for name, sites in self.sites.items()
        ]


@pytest.fixture
def server() -> Server:
    keys = [("a", "float"), ("b", "boolean"), ("boot", "integer"), ("seq", "integer")]
    mixed = [("b", "string"), ("b", "float"), ("foreign", "integer")]
    return Server(
        {"m": keys, "own": [("a", "float")], "mixed": mixed},
        {"m": ["jakarta", "denyut"], "own": ["denyut"], "mixed": ["jakarta"]},
    )


def asked(
    server: Server, aggregate: Aggregate = "mean", **selected: object
) -> dict[str, list[str]]:
    selection = Selection(start_ms=0, stop_ms=1, **selected)  # type: ignore[arg-type]
    columns = Catalogue(server.ask).columns("telemetry", selection, [aggregate], raw=True)
    return {name: [one.stored for one in several] for name, several in columns.items()}


def test_numbers_are_averaged_and_everything_but_the_identity_is_counted(server: Server) -> None:
    assert asked(server) == {"m": ["a"], "mixed": ["b", "foreign"], "own": ["a"]}
    assert asked(server, "count") == {"m": ["a", "b"], "mixed": ["b", "foreign"], "own": ["a"]}


def test_only_measurements_that_may_hold_what_is_selected_are_asked(server: Server) -> None:
    assert set(asked(server, except_site="denyut")) == {"m", "mixed"}
    assert set(asked(server, site="jakarta")) == {"m", "mixed"}
    assert set(asked(server, measurement="own")) == {"own"}
    assert set(asked(server, fields=("a",))) == {"m", "own"}
    assert asked(server, site="nowhere") == {}


def test_of_minutes_and_hours_the_counts_are_added_up() -> None:
    keys = [(f"a.b.{part}", "float") for part in ("count", "max", "mean", "sum")]
    server = Server({"m": keys}, {"m": ["s"]})
    selection = Selection(start_ms=0, stop_ms=1, fields=("a.b",))

    columns = Catalogue(server.ask).columns("x_1m", selection, ["sum", "count"], raw=False)

    assert columns == {
        "m": [
            Column("sum", "a.b.count", "a.b", "count"),
            Column("sum", "a.b.sum", "a.b", "sum"),
        ]
    }


def test_a_bucket_is_looked_up_again_after_two_seconds(server: Server) -> None:
    catalogue = Catalogue(server.ask, clock=lambda: server.now)

    for now, times in ((0.0, 1), (KEEP_SECONDS - 0.1, 1), (KEEP_SECONDS, 2)):
        server.now = now
        catalogue.measurements("telemetry")
        assert len(server.asked) == times
    catalogue.measurements("telemetry_1m")
    assert server.asked[2:] == ["telemetry_1m"]
