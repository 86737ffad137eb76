from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from werkzeug.test import TestResponse

from api.cursors import cursor_of
from api.parameters import ReadingsParameters
from api.readings import Place, Question
from api.times import rfc3339
from telemetry.store import Position, Store
from tests.integration.api.conftest import Asking, Client, reading


@pytest.fixture
def start_ms(written: Store, now_ms: int) -> int:
    """Ten minutes of two devices, a reading every 10 s from this time on, a whole minute."""
    start_ms = now_ms - now_ms % 60_000 - 600_000
    written.write(
        [
            reading(device, start_ms + 10_000 * n, n, t=float(n), u=2.0 * n, ok=n % 2 == 0)
            for n in range(60)
            for device in ("d1", "d2")
        ]
    )
    written.write([reading("d1", start_ms, 60, measurement="door", open=True)])
    return start_ms


def test_the_latest_reading_of_each_series_is_answered(get: Asking, start_ms: int) -> None:
    answer = get("/v1/devices/d1/latest")
    assert answer["readings"] == [
        {
            "time": rfc3339(start_ms),
            "site": "hall",
            "device": "d1",
            "measurement": "door",
            "values": {"open": True},
            "boot": "2023-11-14T22:13:20.000Z",
            "seq": 60,
        },
        {
            "time": rfc3339(start_ms + 590_000),
            "site": "hall",
            "device": "d1",
            "measurement": "weather",
            "values": {"t": 59.0, "u": 118.0, "ok": False},
            "boot": "2023-11-14T22:13:20.000Z",
            "seq": 59,
        },
    ]
    assert len(get("/v1/latest", site="hall")["readings"]) == 3
    assert get("/v1/latest", site="elsewhere")["readings"] == []
    assert get("/v1/latest", limit=1)["truncated"] is True


def test_a_range_begins_at_its_start_and_ends_before_its_stop(get: Asking, start_ms: int) -> None:
    answer = get(
        "/v1/devices/d2/readings", start=start_ms + 10_000, stop=rfc3339(start_ms + 30_000)
    )
    assert [one["seq"] for one in answer["readings"]] == [1, 2]
    assert (answer["start"], answer["stop"]) == (
        rfc3339(start_ms + 10_000),
        rfc3339(start_ms + 30_000),
    )
    assert (answer["every_ms"], answer["aggregate"], answer["order"]) == (None, None, "asc")


def test_the_last_hour_is_answered_where_no_range_is_named(get: Asking, start_ms: int) -> None:
    assert start_ms
    assert len(get("/v1/devices/d2/readings")["readings"]) == 60
    assert get("/v1/devices/d2/readings", start="-1s")["readings"] == []


def test_the_newest_readings_come_first_on_demand(get: Asking, start_ms: int) -> None:
    assert start_ms
    answer = get("/v1/devices/d2/readings", order="desc", limit=2)
    assert [one["seq"] for one in answer["readings"]] == [59, 58]


@pytest.mark.parametrize(("limit", "is_truncated"), [(59, True), (60, False), (61, False)])
def test_an_answer_says_whether_there_is_more(
    get: Asking, start_ms: int, limit: int, is_truncated: bool
) -> None:
    assert start_ms
    answer = get("/v1/devices/d2/readings", limit=limit)
    assert (len(answer["readings"]), answer["truncated"]) == (min(60, limit), is_truncated)


def test_only_the_fields_asked_for_are_answered_and_only_readings_that_have_one(
    get: Asking, start_ms: int
) -> None:
    answer = get("/v1/devices/d1/readings", fields="u,open", limit=3, start=start_ms)
    assert [one["values"] for one in answer["readings"]] == [{"open": True}, {"u": 0.0}, {"u": 2.0}]
    assert get("/v1/devices/d1/readings", fields="open")["truncated"] is False


def test_the_fleets_readings_can_be_asked_for_by_site_device_and_measurement(
    get: Asking, start_ms: int
) -> None:
    assert start_ms
    assert len(get("/v1/readings")["readings"]) == 121
    assert len(get("/v1/readings", device="d1")["readings"]) == 61
    assert len(get("/v1/readings", measurement="door")["readings"]) == 1
    assert get("/v1/readings", site="elsewhere")["readings"] == []


def test_readings_are_gathered_over_intervals(get: Asking, start_ms: int) -> None:
    answer = get("/v1/devices/d2/readings", every="1m", start=start_ms, fields="t", limit=3)
    assert (answer["every_ms"], answer["aggregate"]) == (60_000, "mean")
    assert [(one["time"], one["values"]) for one in answer["readings"]] == [
        (rfc3339(start_ms), {"t": 2.5}),
        (rfc3339(start_ms + 60_000), {"t": 8.5}),
        (rfc3339(start_ms + 120_000), {"t": 14.5}),
    ]
    assert answer["truncated"] is True


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("min", 0.0), ("max", 5.0), ("sum", 15.0), ("count", 6.0), ("first", 0.0), ("last", 5.0)],
)
def test_every_aggregate_can_be_asked_for(
    get: Asking, start_ms: int, aggregate: str, expected: float
) -> None:
    answer = get(
        "/v1/readings",
        device="d2",
        every="1m",
        aggregate=aggregate,
        start=start_ms,
        stop=start_ms + 60_000,
    )
    assert answer["readings"][0]["values"]["t"] == expected


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"start": "-1h", "stop": "-2h"}, "start"),
        ({"start": "-10000d"}, "start"),
        ({"every": "1s", "start": "-700h"}, "every"),
        ({"aggregate": "mean"}, "aggregate"),
        ({"every": "1m", "points": "9"}, "points"),
        ({"points": "1001"}, "points"),
        ({"limit": "1001"}, "limit"),
    ],
)
def test_a_question_beyond_the_limits_is_refused_before_the_store_is_asked(
    client: Client, written: Store, now_ms: int, parameters: dict[str, str], named: str
) -> None:
    written.write([reading("d1", now_ms)])
    before = queries(client)
    response = client.get("/v1/readings", query_string=parameters)
    assert response.status_code == 400
    assert response.get_json(force=True)["parameter"] == named
    assert queries(client) == before


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("more", [{}, {"every": "45s"}, {"points": "40", "aggregate": "max"}])
@pytest.mark.parametrize("path", ["/v1/readings", "/v1/devices/d1/readings"])
def test_the_pages_of_a_range_put_together_are_the_whole(
    client: Client, start_ms: int, path: str, more: dict[str, str], order: str
) -> None:
    question = {**more, "start": rfc3339(start_ms), "fields": "t,u", "order": order}
    whole = json_of(client.get(path, query_string={**question, "limit": "1000"}))
    assert (whole["truncated"], whole["next"]) == (False, None)

    found, response = [], client.get(path, query_string={**question, "limit": "7"})
    while True:
        page = json_of(response)
        found += page["readings"]
        if page["next"] is None:
            break
        assert (page["truncated"], len(page["readings"])) == (True, 7)
        assert response.headers["Link"] == f'<{page["next"]}>; rel="next"'
        response = client.get(page["next"])

    assert found == whole["readings"]
    assert len(found) > 13
    assert "Link" not in response.headers


def test_a_relative_range_stays_what_it_was_on_the_first_page(
    get: Asking, client: Client, written: Store, start_ms: int
) -> None:
    assert start_ms
    first = get("/v1/readings", start="-1h", device="d1", measurement="weather", limit=50)
    written.write([reading("d1", start_ms + 600_000 + n, 100 + n) for n in range(5)])
    second = json_of(client.get(first["next"]))
    assert (second["start"], second["stop"]) == (first["start"], first["stop"])
    assert all(one["time"] < first["stop"] for one in second["readings"])


def test_a_page_may_be_of_another_size_than_the_one_before(get: Asking, start_ms: int) -> None:
    first = get("/v1/readings", start=start_ms, device="d2", limit=10)
    cursor = parse_qs(urlsplit(first["next"]).query)["cursor"][0]
    second = get("/v1/readings", start=start_ms, device="d2", limit=30, cursor=cursor)
    assert [one["seq"] for one in second["readings"]] == list(range(10, 40))


def test_a_cursor_of_another_question_or_that_was_changed_is_refused(
    client: Client, get: Asking, start_ms: int
) -> None:
    given = {"start": str(start_ms), "limit": "10", "device": "d1"}
    cursor = parse_qs(urlsplit(get("/v1/readings", **given)["next"]).query)["cursor"][0]
    middle = len(cursor) // 2
    changed = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    refused = [
        {**given, "cursor": changed},
        {**given, "cursor": cursor[:-4]},
        {**given, "cursor": "AAAAAAAAAAAAAAAAAAAA"},
        {**given, "cursor": "A" * 17},
        {**given, "cursor": "no cursor"},
        {**given, "cursor": cursor, "device": "d2"},
        {**given, "cursor": cursor, "order": "desc"},
        {**given, "cursor": cursor, "every": "1m"},
        {**given, "cursor": cursor, "start": str(start_ms + 1)},
    ]
    for question in refused:
        response = client.get("/v1/readings", query_string=question)
        assert response.status_code == 400, question
        assert response.get_json(force=True)["parameter"] == "cursor"
    of_path = {"start": str(start_ms), "limit": "10", "cursor": cursor}
    assert client.get("/v1/devices/d1/readings", query_string=of_path).status_code == 400


def test_a_cursor_made_by_somebody_else_is_held_to_the_limits_too(client: Client) -> None:
    asked = ReadingsParameters(device="d1")
    question = Question(asked, None, "d1")
    place = Place(0, 4_000_000_000_000, Position(0, "d1", "weather", "hall"))
    forged = {"device": "d1", "cursor": cursor_of(question, place)}
    response = client.get("/v1/readings", query_string=forged)
    assert response.status_code == 400
    assert response.get_json(force=True)["parameter"] == "start"


def test_a_chart_of_so_many_points_says_how_long_its_intervals_are(
    get: Asking, start_ms: int
) -> None:
    answer = get(
        "/v1/devices/d1/readings",
        points=20,
        start=start_ms,
        stop=start_ms + 600_000,
        measurement="weather",
    )
    assert (answer["every_ms"], answer["aggregate"], answer["resolution"]) == (
        30_000,
        "mean",
        "raw",
    )
    assert len(answer["readings"]) == 20


@pytest.mark.parametrize(
    "text", ["d1' OR '1'='1", 'd1" OR 1=1 --', "d1;DROP TABLE reading", "%", "*", "/.*/", "d1,x=1"]
)
@pytest.mark.parametrize("name", ["site", "device", "measurement", "fields", "start", "every"])
def test_an_injected_query_is_refused_and_finds_no_row(
    client: Client, start_ms: int, name: str, text: str
) -> None:
    assert start_ms
    response = client.get("/v1/readings", query_string={name: text})
    assert response.status_code == 400
    assert client.get(f"/v1/devices/{quote(text)}/readings").status_code == 404


def json_of(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()


def queries(client: Client) -> str:
    lines = client.get("/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("denyut_api_store_queries_total"))
