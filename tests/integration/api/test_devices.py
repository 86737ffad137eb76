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
