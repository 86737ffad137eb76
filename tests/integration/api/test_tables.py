"""The same readings as CSV and NDJSON: the formats, and what happens to a table on its way."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import create_app
from api.settings import ApiSettings
from api.status_board import StatusBoard
from api.times import rfc3339
from telemetry.reading import Reading
from telemetry.store import Row, Selection, Store, StoreUnavailable
from telemetry.store.sqlite import SQLiteStore
from tests.integration.api.conftest import Asking, Client, own_figures, reading

FORMATS = pytest.mark.parametrize("wanted", ["csv", "ndjson"])


@pytest.fixture
def start_ms(written: Store, now_ms: int) -> int:
    """Two thousand readings of two devices, and two of other measurements among them."""
    start_ms = now_ms - 1_200_000
    written.write(
        [
            reading(device, start_ms + 1_000 * n, n, t=n / 8, ok=n % 2 == 0)
            for n in range(1_000)
            for device in ("d1", "d2")
        ]
    )
    written.write([reading("d1", start_ms + 1, 1_000, measurement="door", open=True)])
    written.write([reading("d1", start_ms + 2, measurement="door", note='a "b", c\nd é')])
    written.write([own_figures("ingest", "ingest-1", start_ms, batches=7)])
    return start_ms


def rows_of(text: str) -> list[dict[str, str]]:
    assert "\r\n" in text
    return list(csv.DictReader(io.StringIO(text, newline="")))


def value(text: str) -> Any:
    try:
        return {"true": True, "false": False}[text]
    except KeyError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def as_json(row: dict[str, str]) -> dict[str, Any]:
    """A row of CSV as JSON tells the reading."""
    told = dict(row)
    answer: dict[str, Any] = {name: told.pop(name) for name in ("time", "site", "device")}
    answer["measurement"] = told.pop("measurement")
    boot, seq = told.pop("boot"), told.pop("seq")
    answer["values"] = {name: value(text) for name, text in told.items() if text}
    return {**answer, "boot": boot or None, "seq": int(seq) if seq else None}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"fields": "t"},
        {"measurement": "weather", "every": "7s"},
        {"points": "50", "aggregate": "last"},
        {"limit": "37"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/readings", "/v1/devices/d1/readings"])
def test_every_format_holds_the_same_readings(
    client: Client, start_ms: int, path: str, more: dict[str, str], order: str
) -> None:
    question = {**more, "start": str(start_ms), "stop": str(start_ms + 400_000), "order": order}
    answer = client.get(path, query_string={"limit": "1000", **question}).get_json()["readings"]
    assert len(answer) >= 37

    as_csv = client.get(path, query_string={**question, "format": "csv"})
    as_lines = client.get(path, query_string={**question, "format": "ndjson"})

    assert [as_json(row) for row in rows_of(as_csv.text)] == answer
    assert [json.loads(line) for line in as_lines.text.splitlines()] == answer


@FORMATS
def test_a_table_has_no_limit_but_the_one_it_is_told(
    client: Client, start_ms: int, wanted: str
) -> None:
    question = {"start": str(start_ms), "format": wanted}
    head = 1 if wanted == "csv" else 0
    whole = client.get("/v1/readings", query_string={**question, "measurement": "weather"})
    assert len(whole.text.splitlines()) == 2_000 + head
    some = client.get("/v1/devices/d2/readings", query_string={**question, "limit": "10"})
    assert len(some.text.splitlines()) == 10 + head
    refused = client.get("/v1/readings", query_string={**question, "limit": "1001"})
    assert refused.status_code == 400


def test_the_head_of_a_table_names_every_field_that_there_may_be(
    client: Client, start_ms: int
) -> None:
    def head(path: str, **question: str) -> str:
        given = {"start": str(start_ms), "format": "csv", **question}
        return client.get(path, query_string=given).text.splitlines()[0]

    place = "time,site,device,measurement,boot,seq"
    assert head("/v1/readings") == f"{place},note,ok,open,t"
    assert head("/v1/devices/d2/readings") == f"{place},ok,t"
    assert head("/v1/readings", measurement="door") == f"{place},note,open"
    assert head("/v1/readings", fields="t,nothing,open") == f"{place},t,nothing,open"
    assert head("/v1/readings", site="denyut") == f"{place},batches"
    assert head("/v1/readings", site="elsewhere") == place


def test_a_table_of_nothing_is_its_head(client: Client, start_ms: int) -> None:
    question = {"start": str(start_ms - 9), "stop": str(start_ms - 8), "format": "csv"}
    assert client.get("/v1/devices/d2/readings", query_string=question).text == (
        "time,site,device,measurement,boot,seq,ok,t\r\n"
    )
    question["format"] = "ndjson"
    assert client.get("/v1/devices/d2/readings", query_string=question).text == ""
    assert client.get("/v1/devices/nobody/readings?format=csv").status_code == 404


def test_a_cursor_leads_into_a_table_too(client: Client, get: Asking, start_ms: int) -> None:
    page = get("/v1/devices/d2/readings", start=start_ms, limit=990)
    rest = client.get(page["next"].replace("limit=990", "format=csv"))
    assert [row["seq"] for row in rows_of(rest.text)] == [str(n) for n in range(990, 1_000)]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
)
def test_a_text_that_a_spreadsheet_would_run_is_made_plain_in_csv_alone(
    client: Client, written: Store, now_ms: int, text: str
) -> None:
    written.write([reading("d1", now_ms, note=text, safe="a=1", cold=-5.0)])
    (row,) = rows_of(client.get("/v1/readings?format=csv").text)
    assert (row["note"], row["safe"], row["cold"]) == (f"'{text}", "a=1", "-5.0")
    (line,) = client.get("/v1/readings?format=ndjson").text.splitlines()
    assert json.loads(line)["values"]["note"] == text


def test_a_field_that_is_called_as_a_column_is_told_from_it(
    client: Client, written: Store, now_ms: int
) -> None:
    written.write([Reading("hall", "d1", "m", now_ms, {"measurement": 2.0, "other": 1.0})])
    (row,) = rows_of(client.get("/v1/readings?format=csv").text)
    assert (row["measurement"], row["values.measurement"], row["other"]) == ("m", "2.0", "1.0")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/csv;q=0.5, application/x-ndjson;q=0.9, */*;q=0.1", "application/x-ndjson"),
        ("text/html, text/csv;q=0.2", "text/csv"),
        ("application/json;q=0, text/csv", "text/csv"),
    ],
)
def test_the_format_is_negotiated(
    client: Client, start_ms: int, accept: str | None, expected: str
) -> None:
    assert start_ms
    headers = {"Accept": accept} if accept else {}
    response = client.get("/v1/readings", headers=headers)
    assert (response.status_code, response.mimetype) == (200, expected)
    assert "Accept" in response.vary
    assert client.get("/v1/readings?format=csv", headers=headers).mimetype == "text/csv"


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/plain", "text/csv;q=0"])
def test_where_no_format_fits_nothing_is_answered(client: Client, accept: str) -> None:
    response = client.get("/v1/readings", headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (406, "application/problem+json")


@FORMATS
def test_over_the_old_protocol_a_table_that_breaks_off_could_not_be_told(
    client: Client, start_ms: int, wanted: str
) -> None:
    assert start_ms
    old = {"SERVER_PROTOCOL": "HTTP/1.0"}
    response = client.get(f"/v1/readings?format={wanted}", environ_overrides=old)
    assert (response.status_code, response.mimetype) == (505, "application/problem+json")
    assert client.get("/v1/readings", environ_overrides=old).status_code == 200


class BreakingStore(SQLiteStore):
    """A store that goes away after so many pages of a table."""

    pages = 0

    def rows(self, selection: Selection, *given: Any, **named: Any) -> Iterator[list[Row]]:
        for number, page in enumerate(super().rows(selection, *given, **named)):
            if number == self.pages:
                raise StoreUnavailable("gone")
            yield page
        raise StoreUnavailable("gone")


@pytest.fixture
def breaking(settings: ApiSettings, start_ms: int) -> Iterator[BreakingStore]:
    assert start_ms
    store = BreakingStore(settings.store_url.removeprefix("sqlite:///"), read_only=True)
    yield store
    store.close()


@FORMATS
def test_a_store_that_does_not_answer_is_503_and_not_a_table(
    settings: ApiSettings, breaking: BreakingStore, wanted: str
) -> None:
    client = create_app(settings, breaking, StatusBoard(1)).test_client()
    response = client.get(f"/v1/readings?format={wanted}")
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")


@FORMATS
def test_a_store_that_goes_away_meanwhile_breaks_the_table_off(
    settings: ApiSettings, breaking: BreakingStore, wanted: str
) -> None:
    breaking.pages = 1
    client = create_app(settings, breaking, StatusBoard(1)).test_client()
    response = client.get(f"/v1/readings?format={wanted}")
    assert response.status_code == 200
    with pytest.raises(StoreUnavailable):
        assert response.text


@FORMATS
def test_tables_hold_their_places_until_they_are_taken_or_given_up(
    settings: ApiSettings, written: Store, start_ms: int, wanted: str
) -> None:
    assert start_ms
    client = create_app(settings, written, StatusBoard(1)).test_client()
    path = f"/v1/readings?format={wanted}"
    held = [client.get(path, buffered=False) for _place in range(settings.max_tables)]
    refused = client.get(path)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert client.get("/v1/readings").status_code == 200

    held[0].close()
    assert len(client.get(path).text) > 10_000
    assert client.get(path).status_code == 200
    for response in held:
        response.close()


def test_a_table_is_named_as_a_file(client: Client, start_ms: int) -> None:
    assert start_ms
    response = client.get("/v1/readings?format=csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="readings.csv"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert rfc3339(start_ms) in response.text
