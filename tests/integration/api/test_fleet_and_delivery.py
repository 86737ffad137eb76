import pytest

from api.status_board import StatusBoard
from telemetry.store import Store
from tests.integration.api.conftest import Asking, own_figures, reading


@pytest.fixture
def told(board: StatusBoard) -> StatusBoard:
    """d0, d1 and d2 publish at the level of their number; d2 is offline."""
    for qos, state in enumerate(("online", "online", "offline")):
        status = f'{{"state":"{state}","qos":{qos}}}'.encode()
        board.take(f"status/hall/d{qos}", status, retained=True, now_ms=0)
    return board


def test_an_empty_store_is_an_empty_fleet(get: Asking) -> None:
    fleet = get("/v1/fleet")
    assert (fleet["devices"], fleet["series"], fleet["last_seen"]) == (0, 0, None)
    assert fleet["readings_per_second"] is None
    assert fleet["history"]["readings_per_second"] == {"0": [], "1": [], "2": []}
    assert fleet["by_qos"]["1"]["latency_ms"] == {"p50": None, "p95": None, "p99": None}
    delivery = get("/v1/delivery")
    assert delivery["by_qos"]["0"]["stored"] == 0
    assert delivery["by_qos"]["1"]["offered"] is None
    assert delivery["ingest"]["replicas"] == 0


def test_the_fleet_is_summed_up(
    get: Asking, written: Store, told: StatusBoard, now_ms: int
) -> None:
    told.link_up()
    written.write([reading(name, now_ms) for name in ("d0", "d1", "stranger")])
    for client_id in ("ingest-1", "ingest-2"):
        for ago, count in ((20, 0), (10, 100), (0, 300)):
            figures = {
                "written_readings_qos0": count,
                "written_readings_qos1": 2 * count,
                "written_readings_qos2": 0,
                "latency_ms_qos1_p99": 40 if client_id == "ingest-1" else 70,
            }
            written.write([own_figures("ingest", client_id, now_ms - ago * 1_000, **figures)])
    fleet = get("/v1/fleet")
    states = {name: fleet[name] for name in ("devices", "online", "offline", "unknown", "series")}
    assert states == {"devices": 4, "online": 2, "offline": 1, "unknown": 1, "series": 3}
    assert fleet["states_current"] is True
    assert fleet["readings_per_second"] == pytest.approx(120)
    rates = {level: one["readings_per_second"] for level, one in fleet["by_qos"].items()}
    assert rates == pytest.approx({"0": 40.0, "1": 80.0, "2": 0.0})
    assert fleet["by_qos"]["1"]["latency_ms"]["p99"] == 70
    assert fleet["by_qos"]["2"]["devices"] == 1
    assert fleet["by_qos"]["2"]["online"] == 0
    assert max(rate or 0 for rate in fleet["history"]["readings_per_second"]["1"]) > 40


def test_delivery_tells_offered_acknowledged_stored_and_missing_by_level(
    get: Asking, written: Store, told: StatusBoard, now_ms: int
) -> None:
    assert len(told) == 3
    for qos, missing in ((0, {3, 4}), (1, set()), (2, {7})):
        kept = [n for n in range(10) if n not in missing]
        written.write([reading(f"d{qos}", now_ms - 100 + n, n) for n in kept])
    written.write([reading("d1", now_ms, n, boot_ms=1_700_000_500_000) for n in (0,)])
    written.write([reading("stranger", now_ms, 1)])
    for client_id in ("sensors-1", "sensors-2"):
        figures = {
            "offered_readings_qos0": 5,
            "offered_readings_qos1": 6,
            "acknowledged_readings_qos1": 4,
        }
        written.write([own_figures("sensors", client_id, now_ms - 50, offered_readings_qos0=1)])
        written.write([own_figures("sensors", client_id, now_ms, **figures)])
    levels = get("/v1/delivery")["by_qos"]
    stored = {level: (one["stored"], one["missing"]) for level, one in levels.items()}
    assert stored == {"0": (8, 2), "1": (11, 0), "2": (9, 1), "unknown": (1, 1)}
    assert (levels["0"]["offered"], levels["0"]["acknowledged"]) == (10, None)
    assert (levels["1"]["offered"], levels["1"]["acknowledged"]) == (12, 8)
    assert (levels["2"]["offered"], levels["unknown"]["devices"]) == (None, 1)


def test_delivery_adds_up_what_the_replicas_of_ingest_count(
    get: Asking, written: Store, now_ms: int
) -> None:
    figures = {
        "received_readings_qos0": 10,
        "received_readings_qos1": 20,
        "taken_over_readings": 3,
        "written_readings_qos0": 9,
        "written_readings_qos1": 18,
        "quarantined_readings": 1,
        "spooled_readings": 2,
        "in_flight_readings": 2,
        "dropped_readings_stopped": 1,
        "repeated_readings": 4,
    }
    for client_id in ("ingest-1", "ingest-2"):
        written.write([own_figures("ingest", client_id, now_ms, **figures)])
    assert get("/v1/delivery")["ingest"] == {
        "replicas": 2,
        "received": 60,
        "taken_over": 6,
        "written": 54,
        "quarantined": 2,
        "spooled": 4,
        "in_flight": 4,
        "dropped": 2,
        "repeated": 8,
    }


def test_delivery_tells_what_is_held_outside_the_store(
    get: Asking, written: Store, now_ms: int
) -> None:
    assert set(get("/v1/delivery")["held"].values()) == {None}
    figures = {
        "spool_bytes": 100,
        "spool_budget_bytes": 1_000,
        "quarantine_bytes": 20,
        "quarantine_budget_bytes": 200,
        "broker_queued_messages": 7,
    }
    for client_id in ("ingest-1", "ingest-2"):
        written.write([own_figures("ingest", client_id, now_ms, **figures)])
    assert get("/v1/delivery")["held"] == {
        "spool_bytes": 200,
        "spool_budget_bytes": 2_000,
        "quarantine_bytes": 40,
        "quarantine_budget_bytes": 400,
        "broker_messages": 7,
    }
