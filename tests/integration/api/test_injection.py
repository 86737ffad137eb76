"""Injection: what stands in a parameter is a value, in both stores, and no foreign row comes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from flask import Flask
from msgspec import Struct

from api.app import create_app
from api.cursors import cursor_of
from api.openapi.declaration import EVENTS
from api.openapi.document import Operation, operations
from api.openapi.schemas import parameter_schemas
from api.parameters import DeviceReadingsParameters
from api.readings import Place, Question
from api.settings import ApiSettings
from api.status_board import StatusBoard
from api.times import Duration
from stack.local import LocalStack
from telemetry.keys import file as key_file
from telemetry.keys import make_key
from telemetry.reading import Reading
from telemetry.store import Position, Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.integration.api.conftest import Client, reading
from tests.integration.store.conftest import fresh_influx_store, influxdb

__all__ = ["influxdb"]

SECRET = "vault"
NOWHERE = ApiSettings(store_url="sqlite:///nowhere")
PAYLOADS = [
    # SQL
    "d1' OR '1'='1",
    'd1" OR "1"="1',
    "d1') OR (1=1) --",
    "'; DROP TABLE reading; --",
    "d1' UNION SELECT * FROM reading --",
    "d1%",
    "d_",
    "\\",
    "1 OR 1=1",
    # InfluxQL
    "/.*/",
    "d1' OR device =~ /.*/ --",
    'd1"; SELECT * FROM /.*/; --',
    "d1'; DROP MEASUREMENT secret; --",
    "$device",
    "*::field",
    "1s) fill(none); SELECT * FROM /.*/ --",
    # Flux
    '") |> yield() //',
    'd1" or r.device == "vault',
    '${die(msg: "x")}',
    # line protocol, and lines and ends of text
    "d1,device=vault t=1 1",
    "d1\nsecret,device=vault t=1 1",
    "d1\r\nX-Injected: 1",
    "d1\x00vault",
    # paths, templates, patterns, and what is not ASCII
    "../vault",
    "..%2fvault",
    ".*",
    "*",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "d1\u2019 OR \u20181\u2019=\u20181",
    "\udcff",
    "d1 ",
    "-1h; SELECT 1",
    "9" * 400,
]


class World(NamedTuple):
    """An API with its store, and a header that reads d1 alone."""

    client: Client
    written: Store
    limited: dict[str, str]
    full: dict[str, str]


def rows(now_ms: int) -> list[Reading]:
    mine = [reading("d1", now_ms - 1_000 * n, n, note="mine") for n in range(5)]
    return [
        *mine,
        reading(SECRET, now_ms, 0, site="safe", measurement="secret", code="foreign-row"),
    ]


@pytest.fixture(params=["sqlite", "influxdb"])
def world(request: pytest.FixtureRequest, tmp_path: Path, now_ms: int) -> Iterator[World]:
    """An API on each store, with a row that nobody asks for."""
    if request.param == "sqlite":
        given = StoreSettings(store_url=f"sqlite:///{tmp_path}/store.db")
        written, read = open_store(given), open_store(given, read_only=True)
    else:
        local: LocalStack = request.getfixturevalue("influxdb")
        written = read = fresh_influx_store(local)
    written.write(rows(now_ms))
    keys = tmp_path / "keys"
    settings = ApiSettings(store_url="sqlite:///nowhere", cache_ms=0, keys_file=str(keys))
    headers = []
    for devices in (["d1"], None):
        key, entry = make_key("test", ["read", "command"], devices, made="")
        key_file.add(keys, entry)
        headers.append({"Authorization": f"Bearer {key}"})
    yield World(create_app(settings, read, StatusBoard(9)).test_client(), written, *headers)
    written.close()
    read.close()


def every_operation() -> list[Operation]:
    app: Flask = create_app(NOWHERE, open_store(NOWHERE), StatusBoard(1))
    return [one for one in operations(app) if one.path.startswith("/v1")]


OPERATIONS = every_operation()


def names_of(kind: type[Struct] | None) -> list[str]:
    return [] if kind is None else [name for name, _, _ in parameter_schemas(kind)]


def ask(world: World, one: Operation, headers: dict[str, str], **given: str) -> Any:
    """Ask with one thing given where it belongs, in the path or in the query, else harmless."""
    path = re.sub(r"\{(\w+)\}", lambda part: quoted(given.get(part[1], "d1")), one.path)
    query = "&".join(
        f"{name}={quoted(value)}" for name, value in given.items() if name not in one.variables
    )
    return world.client.open(
        path, method=one.method, query_string=query, headers=headers, json={}, buffered=False
    )


def quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_what_stands_in_a_parameter_is_a_value(world: World, now_ms: int, one: Operation) -> None:
    for name in (*one.variables, *names_of(one.declaration.parameters)):
        for payload in PAYLOADS:
            response = ask(world, one, world.full, **{name: payload})
            if response.content_type.startswith(EVENTS):
                assert response.status_code == 200
                response.close()
                continue
            text = response.text
            assert 400 <= response.status_code < 500 or "foreign-row" not in text, (name, payload)
            assert response.status_code < 500, (name, payload, text)
            assert "X-Injected" not in response.headers
    stored = {(one.device, one.measurement): one.values for one in world.written.latest()}
    assert stored == {
        (row.device, row.measurement): row.values for row in rows(now_ms)[0:1] + rows(now_ms)[5:]
    }


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_a_key_for_one_device_gets_no_row_of_another(world: World, one: Operation) -> None:
    others = [
        {name: value}
        for name in (*one.variables, *names_of(one.declaration.parameters), "device", "site")
        for value in (SECRET, "safe", "secret", *PAYLOADS)
    ]
    for given in [{"device": SECRET}, {}, *others]:
        response = ask(world, one, world.limited, **given)
        if response.content_type.startswith(EVENTS):
            response.close()
            assert given.get("device") == "d1"
            continue
        assert b"foreign-row" not in response.data
        assert response.status_code < 500
        if given == {"device": SECRET}:
            assert response.status_code in (403, 404)


FORGED = [
    Place(0, 1, Position(0, "d1", "weather", "hall")),
    Place(9_000_000_000_000, 9_223_372_036_854, Position(0, "d1", "weather", "hall")),
    Place(1, 2, Position(2**63, "d1", "weather", "hall")),
    Place(2**63, 2**63 + 1, Position(1, "d1", "weather", "hall")),
    Place(-5, -1, Position(-1, "d1", "weather", "hall")),
]


@pytest.mark.parametrize("every", [None, "1s"])
def test_a_forged_cursor_brings_no_more_than_the_question(
    world: World, now_ms: int, every: str | None
) -> None:
    positions = [
        Place(now_ms - 60_000, now_ms + 1, Position(now_ms - 30_000, text, text, text))
        for text in (SECRET, *PAYLOADS)
        if text.isprintable()
    ]
    asked = {} if every is None else {"every": every}
    for place in (*FORGED, *positions):
        typed = DeviceReadingsParameters(
            limit=1, every=None if every is None else Duration.parse(every)
        )
        cursor = cursor_of(Question(typed, None, "d1"), place)
        response = world.client.get(
            "/v1/devices/d1/readings", query_string={**asked, "cursor": cursor}, headers=world.full
        )
        assert response.status_code in (200, 400), (place, response.text)
        assert b"foreign-row" not in response.data
