"""Queries are filled in as Grafana's documentation says."""

import pytest

from stack.dashboards.asking import ALL, Span, fill_in

SPAN = Span(1_700_000_000_000, 1_700_003_600_000)


@pytest.mark.parametrize(
    ("query", "filled"),
    [
        ("WHERE $timeFilter", "WHERE time >= 1700000000000ms and time <= 1700003600000ms"),
        ("GROUP BY time($__interval)", "GROUP BY time(5000ms)"),
        ("\"x_${qos}\" = '$device'", "\"x_1\" = 'a.b'"),
        ("= '${device:raw}'", "= 'a.b'"),
        ("=~ /^(${site:regex})$/", "=~ /^((north|south))$/"),
        ("=~ /^(${device:regex})$/", r"=~ /^(a\.b)$/"),
        ("=~ /^(${all:regex})$/", "=~ /^(.*)$/"),
        ("range(start: v.timeRangeStart)", "range(start: 2023-11-14T22:13:20.000Z)"),
        ("every: v.windowPeriod", "every: 5000ms"),
    ],
)
def test_macros_and_variables_are_filled_in(query: str, filled: str) -> None:
    variables = {"qos": "1", "device": "a.b", "site": ["north", "south"], "all": ALL}

    assert fill_in(query, SPAN, variables) == filled


@pytest.mark.parametrize(
    ("hours", "least_ms", "interval_ms"),
    [(1, 1_000, 5_000), (1, 30_000, 30_000), (24, 1_000, 120_000), (168, 30_000, 600_000)],
)
def test_an_interval_is_a_usual_length_and_not_less_than_the_panel_wants(
    hours: int, least_ms: int, interval_ms: int
) -> None:
    span = Span(0, hours * 3_600_000, least_ms)

    assert span.interval_ms == interval_ms
