"""The habits of the web: ids, tags, compression, other origins, and every method of every route."""

import gzip
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response

from api.app import create_app
from api.cors import Origins
from api.openapi.declaration import CSV, EVENTS
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.settings import SettingError
from telemetry.store import Store
from telemetry.store.opening import open_store
from tests.integration.api.conftest import Client, reading
from tests.integration.api.test_error_shape import ASKING_PATHS, PATHS, problem
from tests.log_lines import capture_logs

MakeClient = Callable[..., Client]
FRIEND = "https://friend.example"


@pytest.fixture
def serve(store_url: str, written: Store, now_ms: int) -> Iterator[MakeClient]:
    """Make an API with settings of one's own, over a store with 200 readings."""
    written.write([reading("d1", now_ms - 1_000 * n, n) for n in range(200)])
    store = open_store(ApiSettings(store_url=store_url), read_only=True)

    def make(**given: str) -> Client:
        settings = ApiSettings(store_url=store_url, **given)  # type: ignore[arg-type]
        return create_app(settings, store, StatusBoard(9)).test_client()

    yield make
    store.close()


@pytest.mark.parametrize("given", ["a-1", "0123456789abcdef", "trace:1.2_3", "x" * 64])
def test_a_sane_request_id_comes_back(client: Client, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 65, "-a", "\xe9", "a\tb", '"><script>'])
def test_an_odd_request_id_is_replaced(client: Client, given: str) -> None:
    found = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", found)


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/v1/devices?limit=0"])
def test_every_answer_has_a_request_id_of_its_own(client: Client, path: str) -> None:
    ids = {client.get(path).headers["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2


def test_the_lines_of_a_request_carry_its_id(tmp_path: str) -> None:
    settings = ApiSettings(store_url=f"sqlite:///{tmp_path}/none.db")
    client = create_app(
        settings, open_store(settings, read_only=True), StatusBoard(1)
    ).test_client()
    with capture_logs() as lines:
        client.get("/v1/latest", headers={"X-Request-ID": "mine-1"})
    assert [line["request_id"] for line in lines] == ["mine-1"]


def test_an_answer_that_one_has_already_is_not_sent_again(serve: MakeClient) -> None:
    client = serve()
    first = client.get("/v1/latest")
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    again = client.get("/v1/latest", headers={"If-None-Match": f'"other", {tag}'})
    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["ETag"] == tag
    assert "Content-Type" not in again.headers
    assert client.get("/v1/latest", headers={"If-None-Match": "*"}).status_code == 304
    assert client.head("/v1/latest", headers={"If-None-Match": tag}).status_code == 304


def test_an_answer_that_has_changed_is_sent(serve: MakeClient, written: Store, now_ms: int) -> None:
    client = serve(cache_ms=0)
    tag = client.get("/v1/latest").headers["ETag"]
    written.write([reading("d1", now_ms + 1, 200)])
    again = client.get("/v1/latest", headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again.headers["ETag"] != tag


def test_an_error_has_no_tag(client: Client) -> None:
    assert "ETag" not in client.get("/v1/devices/nobody").headers


def test_a_large_answer_is_compressed_for_those_who_take_it(serve: MakeClient) -> None:
    client = serve()
    plain = client.get("/v1/readings")
    packed = client.get("/v1/readings", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content_length == len(packed.data) < len(plain.data) / 4
    found, shown = gzip.decompress(packed.data), plain.data
    assert found[found.index(b'"readings"') :] == shown[shown.index(b'"readings"') :]
    for response in (plain, packed):
        assert "Accept-Encoding" in response.headers["Vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br"])
def test_nobody_gets_gzip_unasked(serve: MakeClient, accepted: str) -> None:
    response = serve().get("/v1/readings", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in response.headers


def test_a_small_answer_is_not_worth_it(client: Client) -> None:
    response = client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers


@pytest.fixture
def streams(client: Client) -> Client:
    """An API with a stream of rows and one of events."""
    app: Flask = client.application
    for path, kind in (("/rows", CSV), ("/events", EVENTS)):
        parts = lambda kind=kind: Response(iter(["a,b\n"] * 1_000), content_type=kind)  # noqa: E731
        app.add_url_rule(path, path, parts)
    return client


def test_a_stream_of_rows_is_compressed_as_it_goes(streams: Client) -> None:
    response = streams.get("/rows", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == b"a,b\n" * 1_000


def test_events_are_not_compressed(streams: Client) -> None:
    response = streams.get("/events", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers


PREFLIGHT = {"Origin": FRIEND, "Access-Control-Request-Method": "GET"}


def test_without_a_setting_no_other_origin_is_told_anything(client: Client) -> None:
    for response in (
        client.get("/v1/fleet", headers={"Origin": FRIEND}),
        client.options("/v1/fleet", headers=PREFLIGHT),
    ):
        assert not [name for name in dict(response.headers) if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("listed", "origin", "told"),
    [
        (FRIEND, FRIEND, FRIEND),
        (f"https://a.example, {FRIEND}", FRIEND, FRIEND),
        ("*", FRIEND, "*"),
        (FRIEND, "https://friend.example.evil.example", None),
        (FRIEND, "http://friend.example", None),
        (FRIEND, "null", None),
    ],
)
def test_a_page_of_a_named_origin_may_read_answers_and_errors(
    serve: MakeClient, listed: str, origin: str, told: str | None
) -> None:
    client = serve(cors_origins=listed)
    for path in ("/v1/fleet", "/v1/devices/nobody", "/v1/fleet?x=1"):
        headers = client.get(path, headers={"Origin": origin}).headers
        assert headers.get("Access-Control-Allow-Origin") == told
        assert ("ETag" in headers.get("Access-Control-Expose-Headers", "")) is bool(told)
        assert ("Origin" in headers.get("Vary", "")) is (listed != "*")
        assert "Access-Control-Allow-Credentials" not in headers


def test_a_preflight_needs_no_key_and_opens_nothing(serve: MakeClient, tmp_path: str) -> None:
    keys = f"{tmp_path}/keys"
    with open(keys, "w"):  # noqa: PTH123
        pass
    client = serve(cors_origins=FRIEND, keys_file=keys)
    response = client.options("/v1/fleet", headers=PREFLIGHT)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    problem(client.get("/v1/fleet", headers=PREFLIGHT), 401)
    problem(client.options("/v1/fleet"), 401)
    stranger = {**PREFLIGHT, "Origin": "https://stranger.example"}
    problem(client.options("/v1/fleet", headers=stranger), 401)
    problem(client.options("/v1/nowhere", headers=PREFLIGHT), 401)


@pytest.mark.parametrize("listed", ["friend.example", f"{FRIEND}/", f"{FRIEND} x", "null"])
def test_a_list_that_is_none_of_origins_is_refused(listed: str) -> None:
    with pytest.raises(SettingError, match="API_CORS_ORIGINS"):
        Origins(listed)


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_its_body(client: Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert head.data == b""
    assert head.content_type == get.content_type
    if path.startswith("/v1") is False and path != "/metrics":
        assert head.content_length == get.content_length


@pytest.mark.parametrize("path", PATHS)
def test_options_names_the_methods_in_one_order(client: Client, path: str) -> None:
    response = client.options(path)
    assert response.status_code == 204
    assert response.data == b""
    allowed = response.headers["Allow"].split(", ")
    assert allowed == sorted(allowed)
    assert "OPTIONS" in allowed
    assert client.open(path, method="PROPFIND").headers["Allow"].split(", ") == allowed


@pytest.mark.parametrize("path", ["/v1/fleet", "/healthz", "/"])
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_a_method_that_nobody_knows_is_405(client: Client, path: str, method: str) -> None:
    problem(client.open(path, method=method), 405)


@pytest.mark.parametrize("path", ASKING_PATHS)
def test_a_body_beyond_the_limit_is_413(client: Client, path: str) -> None:
    problem(client.get(path, data=b"x" * 65_537), 413)
