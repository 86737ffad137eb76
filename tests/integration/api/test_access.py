"""Keys over HTTP: who is let in, where, and how it is said to those who are not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response

from api.access import check_settings
from api.app import create_app
from api.openapi.declaration import TEXT, declares
from api.room import EXTENSION, Room
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.keys import Scope, make_key
from telemetry.keys import file as key_file
from telemetry.settings import SettingError
from telemetry.store import Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.integration.api.conftest import Client, reading
from tests.integration.api.test_error_shape import ASKING_PATHS, ENDLESS_PATH, PATHS, problem

OPEN_PATHS = sorted(set(PATHS) - {*ASKING_PATHS, ENDLESS_PATH})
UNKNOWN_KEY = "dnyt_0123456789ab_" + "0" * 64

MakeKey = Callable[..., dict[str, str]]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch()
    return path


@pytest.fixture
def make(keys_file: Path) -> MakeKey:
    """Make a key, and return the header that carries it."""

    def make_it(*scopes: Scope, devices: list[str] | None = None) -> dict[str, str]:
        key, entry = make_key("test", list(scopes) or ["read"], devices, made="")
        key_file.add(keys_file, entry)
        return {"Authorization": f"Bearer {key}"}

    return make_it


@pytest.fixture
def client(
    store_url: str, written: Store, keys_file: Path, now_ms: int, board: StatusBoard
) -> Iterator[Client]:
    """The API with a file of keys, over a store that has readings of d1 and d2."""
    written.write([reading(device, now_ms - 1_000, 0) for device in ("d1", "d2")])
    settings = ApiSettings(store_url=store_url, cache_ms=0, keys_file=str(keys_file))
    store = open_store(StoreSettings(store_url=store_url), read_only=True)
    yield create_app(settings, store, board).test_client()
    store.close()


@pytest.mark.parametrize(
    "path", [*ASKING_PATHS, ENDLESS_PATH, "/v1", "/v1/", "/v1/nowhere", "/v1/devices/"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
def test_nothing_under_v1_is_answered_without_a_key(client: Client, path: str, method: str) -> None:
    response = client.open(path, method=method)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="denyut"'
    if method != "HEAD":
        assert problem(response, 401)["type"] == "urn:denyut:problem:key-wanted"


@pytest.mark.parametrize("path", [*OPEN_PATHS, "/static/css/page.css", "/static/js/key.js"])
def test_health_metrics_and_the_page_are_open(client: Client, path: str) -> None:
    with client.get(path) as response:
        assert response.status_code == (503 if path == "/readyz" else 200)


def test_what_is_nowhere_is_not_found_rather_than_locked(client: Client) -> None:
    for path in ("/nowhere", "/v10", "/V1/fleet", "//v1/fleet"):
        problem(client.get(path), 404)


@pytest.mark.parametrize("path", ASKING_PATHS)
def test_a_key_that_may_read_reads(client: Client, make: MakeKey, path: str) -> None:
    assert client.get(path, headers=make("read")).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"Authorization": f"bearer  {key} "},
        lambda key: {"X-API-Key": key},
        lambda key: {"Authorization": "Basic eDp5", "X-API-Key": key},
    ],
)
def test_a_key_comes_in_either_header(
    client: Client, make: MakeKey, form: Callable[[str], dict[str, str]]
) -> None:
    key = make("read")["Authorization"].removeprefix("Bearer ")
    assert client.get("/v1/fleet", headers=form(key)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {UNKNOWN_KEY}"},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {UNKNOWN_KEY}, Bearer {UNKNOWN_KEY}"},
        {"X-API-Key": "\xe9" * 80},
        {"X-API-Key": UNKNOWN_KEY},
    ],
)
def test_a_key_that_is_not_in_force_is_401(
    client: Client, make: MakeKey, headers: dict[str, str]
) -> None:
    make("read")
    response = client.get("/v1/fleet", headers=headers)
    found = problem(response, 401)
    assert found["detail"] == "This key is not known, or was revoked."
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_key_in_the_address_opens_nothing(client: Client, make: MakeKey) -> None:
    key = make("read")["Authorization"].removeprefix("Bearer ")
    problem(client.get("/v1/fleet", query_string={"api_key": key, "access_token": key}), 401)


def test_a_revoked_key_opens_nothing_from_the_next_request_on(
    client: Client, make: MakeKey, keys_file: Path
) -> None:
    headers = make("read")
    assert client.get("/v1/fleet", headers=headers).status_code == 200
    assert key_file.remove(keys_file, headers["Authorization"].split("_")[1])
    problem(client.get("/v1/fleet", headers=headers), 401)


def test_a_key_that_lacks_the_scope_is_403(client: Client, make: MakeKey) -> None:
    response = client.get("/v1/fleet", headers=make("command", "admin"))
    assert problem(response, 403)["type"] == "urn:denyut:problem:not-allowed"
    assert 'error="insufficient_scope", scope="read"' in response.headers["WWW-Authenticate"]


def test_a_key_has_its_share_of_requests_at_once_until_they_have_ended(
    store_url: str, written: Store, make: MakeKey, keys_file: Path
) -> None:
    assert written.series() == []
    settings = ApiSettings(store_url=store_url, keys_file=str(keys_file), max_key_requests=1)
    app = create_app(settings, open_store(settings, read_only=True), StatusBoard(9))
    app.add_url_rule("/v1/rows", view_func=lambda: Response(iter(["a", "b"])))
    client, mine, other = app.test_client(), make("read"), make("read")
    reading_it = client.get("/v1/rows", headers=mine, buffered=False)
    refused = client.get("/v1/fleet", headers=mine)
    assert problem(refused, 429)["type"] == "urn:denyut:problem:too-busy"
    assert refused.headers["Retry-After"] == "1"
    assert client.get("/v1/fleet", headers=other).status_code == 200
    reading_it.close()
    assert client.get("/v1/fleet", headers=mine).status_code == 200


def test_a_view_may_need_another_scope(client: Client, make: MakeKey) -> None:
    @declares("Reboot", answers={200: {TEXT: str}}, scope="command")
    def reboot() -> str:
        return "done"

    app: Flask = client.application
    app.add_url_rule("/v1/reboot", view_func=reboot)
    problem(client.get("/v1/reboot", headers=make("read")), 403)
    assert client.get("/v1/reboot", headers=make("command")).text == "done"


def test_a_route_that_is_added_anywhere_needs_a_key_by_itself(
    client: Client, make: MakeKey
) -> None:
    app: Flask = client.application
    app.add_url_rule("/export", view_func=lambda: "rows")
    problem(client.get("/export"), 401)
    assert client.get("/export", headers=make("read")).text == "rows"


def test_a_limited_key_reads_its_devices_only(client: Client, make: MakeKey) -> None:
    headers = make("read", devices=["d1", "hall-*"])
    answered = [
        path for path in ASKING_PATHS if client.get(path, headers=headers).status_code == 200
    ]
    assert answered == [path for path in ASKING_PATHS if "/d1" in path]
    for path in ASKING_PATHS:
        if path not in answered:
            problem(client.get(path, headers=headers), 403)
        elif path != "/v1/devices/d1":
            assert b"d2" not in client.get(path, headers=headers).data
        other = client.get(path.replace("d1", "d2"), headers=headers)
        problem(other, 403)
        assert b"d2" not in other.data
    widened = client.get("/v1/devices/d1/readings?device=d2", headers=headers)
    problem(widened, 400)


def test_whether_a_device_exists_is_not_told_to_a_key_for_others(
    client: Client, make: MakeKey
) -> None:
    headers = make("read", devices=["d1"])
    there, nowhere = (client.get(f"/v1/devices/{name}", headers=headers) for name in ("d2", "d9"))
    assert (there.status_code, there.data) == (nowhere.status_code, nowhere.data)


def test_readiness_tells_strangers_the_names_only(client: Client, make: MakeKey) -> None:
    def checks(**headers: str) -> Any:
        return client.get("/readyz", headers=headers).get_json()["checks"]

    assert checks() == {"store": "ok", "broker": "not ok"}
    assert checks(**{"X-API-Key": UNKNOWN_KEY}) == checks()
    assert checks(**make("read")) == {"store": "ok", "broker": "not connected yet"}


def test_refusals_are_counted_by_reason(client: Client, make: MakeKey) -> None:
    client.get("/v1/fleet")
    client.get("/v1/fleet", headers={"X-API-Key": UNKNOWN_KEY})
    client.get("/v1/fleet", headers=make("admin"))
    client.get("/v1/fleet", headers=make("read", devices=["d1"]))
    text = client.get("/metrics").text
    for reason in ("missing", "unknown", "scope", "device"):
        assert f'denyut_api_refused_requests_total{{reason="{reason}"}} 1.0' in text


def settings(**given: Any) -> ApiSettings:
    return ApiSettings(store_url="sqlite:///nowhere", **given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"http_host": "::1"},
        {"http_host": "localhost"},
        {"http_host": "0.0.0.0", "open": True},
        {"open": True},
    ],
)
def test_without_keys_it_runs_on_loopback_or_where_it_is_told_to(given: dict[str, Any]) -> None:
    check_settings(settings(**given))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org", ""])
def test_without_keys_it_does_not_run_for_others(host: str) -> None:
    with pytest.raises(SettingError, match="API_KEYS_FILE is not set") as caught:
        check_settings(settings(http_host=host))
    assert "API_OPEN=true" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_and_open_at_once_are_refused(keys_file: Path) -> None:
    check_settings(settings(http_host="0.0.0.0", keys_file=str(keys_file)))
    with pytest.raises(SettingError, match="both set"):
        check_settings(settings(keys_file=str(keys_file), open=True))


def test_a_file_of_keys_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"API_KEYS_FILE=.*cannot be read"):
        check_settings(settings(keys_file=str(tmp_path / "none")))


def stream_status(client: Client, query: str, headers: dict[str, str]) -> int:
    with client.get(f"/v1/stream{query}", headers=headers) as response:
        return response.status_code


def test_a_stream_wants_a_key_and_a_limited_one_names_its_device(
    client: Client, make: MakeKey
) -> None:
    limited, whole = make("read", devices=["d1", "hall-*"]), make("read")
    allowed = {"": 403, "?device=d1": 200, "?device=hall-7": 200, "?device=d2": 403}
    allowed |= {"?prefix=d1": 403, "?device=d1&device=d2": 400, "?device=d2&device=d1": 403}
    found = {query: stream_status(client, query, limited) for query in allowed}
    assert found == allowed
    assert stream_status(client, "", whole) == 200
    assert stream_status(client, "", make("command")) == 403
    assert stream_status(client, "", {}) == 401


def test_a_command_wants_its_own_scope(client: Client, make: MakeKey) -> None:
    path = "/v1/devices/d1/commands/reboot"

    def status(headers: dict[str, str], path: str = path) -> int:
        return client.post(path, json={}, headers=headers).status_code

    assert status({}) == 401
    assert status(make("read")) == 403
    assert status(make("command")) == 409
    assert status(make("command", devices=["d1"])) == 409
    assert status(make("command", devices=["d2"])) == 403


def test_a_key_that_is_revoked_is_not_let_go_on(
    client: Client, make: MakeKey, keys_file: Path
) -> None:
    access = room_of(client).access
    header = make("read", devices=["d1"])
    key = header["Authorization"].removeprefix("Bearer ")
    assert access.admits(key, "d1")
    assert not access.admits(key, "d2")
    assert not access.admits(key, None)
    assert not access.admits(None, "d1")
    key_file.remove(keys_file, key.split("_")[1])
    assert not access.admits(key, "d1")


def room_of(client: Client) -> Room:
    room: Room = client.application.extensions[EXTENSION]
    return room


def test_a_revoked_key_ends_its_stream(
    store_url: str, written: Store, keys_file: Path, make: MakeKey, board: StatusBoard
) -> None:
    assert written.series() == []
    header = make("read")
    settings = ApiSettings(
        store_url=store_url, keys_file=str(keys_file), stream_heartbeat_seconds=0.1
    )
    store = open_store(settings, read_only=True)
    client = create_app(settings, store, board).test_client()
    with client.get("/v1/stream?kinds=status", headers=header) as response:
        parts = response.iter_encoded()
        assert any(b"alive" in next(parts) for _ in range(10))
        key_file.remove(keys_file, header["Authorization"].split("_")[1])
        rest = b"".join(parts)
    assert rest.endswith(b"\n\n")
    assert b'event: end\ndata: {"reason":"key"' in rest
    assert room_of(client).streams.figures.open_streams == 0
    store.close()
