"""One shape for every error, over every route that there is."""

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from api.answers import SECURITY_HEADERS
from api.app import create_app
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.store import Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.integration.api.conftest import Client, reading
from tests.log_lines import capture_logs

SETTINGS = ApiSettings(store_url="sqlite:///nowhere", cache_ms=0)


def every_path() -> list[str]:
    """The paths of all routes that are asked by GET, but for the static files."""
    app = create_app(SETTINGS, open_store(SETTINGS), StatusBoard(1))
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and "GET" in (rule.methods or ())
    ]
    return sorted(rule.rule.replace("<device>", "d1") for rule in rules)


PATHS = every_path()
ENDLESS_PATH = "/v1/stream"
ASKING_PATHS = [path for path in PATHS if path.startswith("/v1") and path != ENDLESS_PATH]


def problem(response: TestResponse, status: int) -> dict[str, object]:
    """The body of a response, having checked that it is a problem in our one shape."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    found: dict[str, object] = response.get_json(force=True)
    assert list(found)[:4] == ["type", "title", "status", "detail"]
    assert set(found) <= {"type", "title", "status", "detail", "parameter"}
    assert found["status"] == status
    assert found["detail"]
    assert "Traceback" not in response.text
    assert "/store.db" not in response.text
    return found


def test_every_route_of_the_readme_exists() -> None:
    assert len(ASKING_PATHS) >= 8
    assert {"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} <= set(PATHS)


@pytest.mark.parametrize("path", ASKING_PATHS)
def test_an_unknown_parameter_is_refused_by_name(client: Client, path: str) -> None:
    found = problem(client.get(path, query_string={"colour": "red"}), 400)
    assert found["parameter"] == "colour"
    assert found["type"] == "urn:denyut:problem:bad-parameter"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_method_that_a_route_has_not_is_refused(client: Client, path: str, method: str) -> None:
    response = client.open(path, method=method)
    problem(response, 405)
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1", "/v2/fleet", "/v1/devices/", "/%00", "/static/../app.py"])
def test_an_unknown_route_is_not_found(client: Client, path: str) -> None:
    assert problem(client.get(path), 404)["title"] == "Not Found"


@pytest.mark.parametrize("path", [path for path in ASKING_PATHS if "d1" in path])
def test_an_unknown_device_is_not_found(client: Client, path: str) -> None:
    found = problem(client.get(path), 404)
    assert found["type"] == "urn:denyut:problem:unknown-device"


def test_nobody_is_too_long_to_be_named(client: Client) -> None:
    problem(client.get("/v1/devices/" + "x" * 5_000), 404)


@pytest.fixture
def away() -> Client:
    """An API whose store is not there."""
    return create_app(SETTINGS, open_store(SETTINGS, read_only=True), StatusBoard(1)).test_client()


@pytest.mark.parametrize("path", ASKING_PATHS)
def test_a_store_that_is_away_is_503(away: Client, path: str) -> None:
    response = away.get(path)
    assert problem(response, 503)["type"] == "urn:denyut:problem:store-unavailable"
    assert int(response.headers["Retry-After"]) >= 1


def test_readiness_names_the_store_that_is_away_and_the_broker(away: Client) -> None:
    response = away.get("/readyz")
    assert response.status_code == 503
    assert response.json == {
        "ready": False,
        "checks": {
            "store": "nowhere: unable to open database file",
            "broker": "not connected yet",
        },
    }
    assert away.get("/healthz").status_code == 200


@pytest.fixture
def hasty(written: Store, store_url: str, now_ms: int) -> Iterator[Client]:
    """An API whose store gives up at once, though there is much to read."""
    written.write([reading("d1", now_ms - n, n) for n in range(20_000)])
    hasty = StoreSettings(store_url=store_url, store_timeout_seconds=0.0)
    store = open_store(hasty, read_only=True)
    yield create_app(SETTINGS, store, StatusBoard(1)).test_client()
    store.close()


def test_a_store_that_is_too_slow_is_504(hasty: Client) -> None:
    response = hasty.get("/v1/readings", query_string={"every": "1s"})
    assert problem(response, 504)["type"] == "urn:denyut:problem:store-too-slow"


def test_an_error_that_nobody_foresaw_is_500_without_its_reason(
    client: Client,
) -> None:
    def broken() -> str:
        raise RuntimeError("a secret detail")

    app: Flask = client.application
    app.add_url_rule("/broken", view_func=broken)
    with capture_logs() as lines:
        response = client.get("/broken")
    problem(response, 500)
    assert "secret" not in response.text
    assert ["a secret detail" in line["exception"] for line in lines] == [True]


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/static/css/page.css"])
def test_every_response_carries_the_security_headers(client: Client, path: str) -> None:
    with client.get(path) as response:
        headers = response.headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/v1/fleet", "/healthz", "/"])
def test_head_and_options_are_answered(client: Client, path: str) -> None:
    assert client.head(path).status_code == 200
    assert "GET" in client.options(path).headers["Allow"]
