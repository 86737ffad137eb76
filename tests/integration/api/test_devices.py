import pytest

from api.status_board import StatusBoard
from api.times import rfc3339
from telemetry.store import Store
from tests.integration.api.conftest import Asking, Client, own_figures, reading


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [device["device"] for device in answer["devices"]]


def tell(board: StatusBoard, device: str, status: bytes, site: str = "hall") -> None:
    board.take(f"status/{site}/{device}", status, retained=False, now_ms=1_700_000_060_000)


def test_a_device_is_answered_with_what_store_and_broker_know_of_it(
    get: Asking, written: Store, board: StatusBoard, now_ms: int
) -> None:
    written.write([reading("d1", now_ms - 5_000), reading("d1", now_ms, measurement="power")])
    tell(board, "d1", b'{"state":"online","qos":2,"boot":1700000000000,"profile":"station"}')
    answer = get("/v1/devices/d1")
    assert answer.pop("lag_ms") >= 1_000
    assert answer == {
        "device": "d1",
        "site": "hall",
        "state": "online",
        "qos": 2,
        "profile": "station",
        "since": "2023-11-14T22:14:20.000Z",
        "boot": "2023-11-14T22:13:20.000Z",
        "measurements": ["power", "weather"],
        "last_seen": rfc3339(now_ms),
        "rate": 0.033,
    }


def test_devices_with_only_a_status_or_only_readings_are_listed_too(
    get: Asking, written: Store, board: StatusBoard, now_ms: int
) -> None:
    written.write([reading("stored", now_ms)])
    tell(board, "told", b'{"state":"offline"}')
    answer = get("/v1/devices")
    assert names(answer) == ["stored", "told"]
    assert [device["state"] for device in answer["devices"]] == ["unknown", "offline"]
    assert answer["devices"][1]["last_seen"] is None
    assert (answer["count"], answer["truncated"]) == (2, False)


def test_devices_can_be_asked_for_by_site_state_and_beginning(
    get: Asking, written: Store, board: StatusBoard, now_ms: int
) -> None:
    written.write([reading("a1", now_ms), reading("a2", now_ms), reading("b1", now_ms, site="x")])
    tell(board, "a1", b'{"state":"online"}')
    assert names(get("/v1/devices", site="x")) == ["b1"]
    assert names(get("/v1/devices", prefix="a")) == ["a1", "a2"]
    assert names(get("/v1/devices", state="online")) == ["a1"]
    assert names(get("/v1/devices", state="unknown", prefix="a")) == ["a2"]
    assert names(get("/v1/devices", prefix="nothing")) == []


def test_a_limited_list_says_how_many_there_are(get: Asking, written: Store, now_ms: int) -> None:
    written.write([reading(f"d{number}", now_ms) for number in range(5)])
    answer = get("/v1/devices", limit=2)
    assert names(answer) == ["d0", "d1"]
    assert (answer["count"], answer["truncated"]) == (5, True)


def test_the_pages_of_the_devices_put_together_are_all_of_them(
    client: Client, written: Store, now_ms: int
) -> None:
    written.write([reading(f"d{number}", now_ms) for number in range(7)])
    written.write([reading("other", now_ms)])
    found, path = [], "/v1/devices?prefix=d&limit=3"
    while path:
        response = client.get(path)
        answer = response.get_json()
        found.append(names(answer))
        path = answer["next"]
        assert response.headers.get("Link") == (f'<{path}>; rel="next"' if path else None)
        assert answer["count"] == 7
    assert found == [["d0", "d1", "d2"], ["d3", "d4", "d5"], ["d6"]]


def test_a_cursor_of_other_devices_is_refused(client: Client, written: Store, now_ms: int) -> None:
    written.write([reading(f"d{number}", now_ms) for number in range(7)])
    path = client.get("/v1/devices?prefix=d&limit=3").get_json()["next"]
    response = client.get(path.replace("prefix=d", "prefix=e"))
    assert response.status_code == 400
    assert response.get_json(force=True)["parameter"] == "cursor"


def test_the_rate_of_a_device_is_over_the_last_minute(
    get: Asking, written: Store, board: StatusBoard, now_ms: int
) -> None:
    written.write([reading("busy", now_ms - 500 * n, n) for n in range(400)])
    written.write([reading("slow", now_ms - 10_000), reading("silent", now_ms - 120_000)])
    tell(board, "told", b'{"state":"online"}')
    rates = {one["device"]: one["rate"] for one in get("/v1/devices")["devices"]}
    assert rates.pop("busy") == pytest.approx(2.0, abs=0.1)
    assert rates == {"slow": 0.017, "silent": 0.0, "told": 0.0}


def test_the_sites_are_listed_with_their_devices(
    get: Asking, written: Store, board: StatusBoard, now_ms: int
) -> None:
    written.write([reading("a1", now_ms), reading("a2", now_ms - 5, measurement="power")])
    written.write([reading("b1", now_ms, site="x"), own_figures("ingest", "i", now_ms, batches=1)])
    tell(board, "a1", b'{"state":"online"}')
    tell(board, "told", b'{"state":"offline"}', site="new")
    answer = get("/v1/sites")
    assert (answer["count"], answer["truncated"], answer["next"]) == (3, False, None)
    assert answer["sites"] == [
        {
            "site": "hall",
            "devices": 2,
            "online": 1,
            "offline": 0,
            "unknown": 1,
            "measurements": ["power", "weather"],
            "last_seen": rfc3339(now_ms),
        },
        {
            "site": "new",
            "devices": 1,
            "online": 0,
            "offline": 1,
            "unknown": 0,
            "measurements": [],
            "last_seen": None,
        },
        {
            "site": "x",
            "devices": 1,
            "online": 0,
            "offline": 0,
            "unknown": 1,
            "measurements": ["weather"],
            "last_seen": rfc3339(now_ms),
        },
    ]
    assert [one["site"] for one in get("/v1/sites", limit=1)["sites"]] == ["hall"]


def test_the_measurements_are_listed_with_their_fields_and_units(
    get: Asking, written: Store, now_ms: int
) -> None:
    written.write([reading("a1", now_ms, temperature=1.0, odd=True)])
    written.write([reading("a2", now_ms, temperature=2.0, odd=1.0)])
    written.write([reading("b1", now_ms, site="x", measurement="machine", state="idle")])
    written.write([own_figures("ingest", "i", now_ms, batches=1)])
    answer = get("/v1/measurements")
    machine = {
        "measurement": "machine",
        "devices": 1,
        "sites": ["x"],
        "fields": [{"name": "state", "type": "text", "unit": None}],
    }
    assert (answer["count"], answer["truncated"], answer["next"]) == (2, False, None)
    assert answer["measurements"] == [
        machine,
        {
            "measurement": "weather",
            "devices": 2,
            "sites": ["hall"],
            "fields": [
                {"name": "odd", "type": "mixed", "unit": None},
                {"name": "temperature", "type": "number", "unit": "Cel"},
            ],
        },
    ]
    assert get("/v1/measurements", site="x")["measurements"] == [machine]


def test_our_own_figures_are_no_devices(get: Asking, written: Store, now_ms: int) -> None:
    written.write([own_figures("ingest", "ingest-1", now_ms, batches=1), reading("d1", now_ms)])
    assert names(get("/v1/devices")) == ["d1"]
    assert [one["device"] for one in get("/v1/latest")["readings"]] == ["d1"]
    assert get("/v1/fleet")["devices"] == 1
    assert [one["device"] for one in get("/v1/readings")["readings"]] == ["d1"]


@pytest.mark.parametrize(
    "more", ["", "/latest", "/readings", "/readings?measurement=denyut_ingest"]
)
def test_a_service_of_ours_is_an_unknown_device(
    client: Client, written: Store, now_ms: int, more: str
) -> None:
    written.write([own_figures("ingest", "ingest-1", now_ms, batches=1)])
    assert client.get(f"/v1/devices/ingest-1{more}").status_code == 404


def test_a_rare_device_is_found_among_many_own_figures(
    get: Asking, written: Store, now_ms: int
) -> None:
    own = [own_figures("ingest", "ingest-1", now_ms - 60_000 + n, batches=n) for n in range(50)]
    written.write([*own, reading("d1", now_ms)])
    answer = get("/v1/readings", limit=1)
    assert [one["device"] for one in answer["readings"]] == ["d1"]
    assert answer["truncated"] is False


def test_own_figures_are_answered_where_a_question_names_them(
    get: Asking, written: Store, now_ms: int
) -> None:
    written.write([own_figures("ingest", "ingest-1", now_ms, batches=7), reading("d1", now_ms)])
    for question in ({"measurement": "denyut_ingest"}, {"site": "denyut"}, {"device": "ingest-1"}):
        found = get("/v1/readings", **question)["readings"]
        assert [one["values"] for one in found] == [{"batches": 7.0}]
