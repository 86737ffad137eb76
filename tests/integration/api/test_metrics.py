import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.gaps import GapWatch
from api.room import EXTENSION
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.metrics import as_values
from telemetry.store import Store
from telemetry.store.opening import open_store
from tests.eventually import eventually
from tests.integration.api.conftest import Client, reading


def figure(client: Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"denyut_api_{name}" and labels.items() <= sample.labels.items()
    )


def test_requests_are_counted_by_route_and_status(client: Client) -> None:
    client.get("/v1/devices")
    client.get("/v1/devices")
    client.get("/v1/devices/nobody")
    client.get("/nowhere")
    assert figure(client, "requests_total", route="devices", status="2xx") == 2
    assert figure(client, "requests_total", route="devices", status="4xx") == 1
    assert figure(client, "requests_total", route="none", status="4xx") == 1
    assert figure(client, "request_seconds_total", route="devices") > 0


def test_equal_questions_within_a_moment_ask_the_store_once(
    written: Store, store_url: str, now_ms: int
) -> None:
    written.write([reading("d1", now_ms)])
    settings = ApiSettings(store_url=store_url, cache_ms=60_000)
    client = create_app(
        settings, open_store(settings, read_only=True), StatusBoard(9)
    ).test_client()
    answers = {client.get("/v1/readings?start=-1h").text for _ in range(20)}
    assert len(answers) == 1
    assert figure(client, "store_queries_total") == 1
    assert figure(client, "cache_hits_total") == 19


def test_a_failing_store_is_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    settings = ApiSettings(store_url=url)
    app = create_app(settings, open_store(settings, read_only=True), StatusBoard(9))
    assert app.test_client().get("/v1/latest").status_code == 503
    assert figure(app.test_client(), "store_failures_total") == 1


def test_own_figures_are_the_same_numbers_as_on_the_metrics_page(client: Client) -> None:
    client.get("/v1/devices")
    shown = figure(client, "requests_total", route="devices", status="2xx")
    values = as_values(client.application.extensions[EXTENSION].samples())
    assert values["requests_devices_2xx"] == shown == 1.0


def told(board: StatusBoard, device: str, state: str, qos: int) -> None:
    payload = json.dumps({"state": state, "qos": qos}).encode()
    board.take(f"status/s/{device}", payload, retained=True, now_ms=1)


def test_devices_are_counted_by_state_and_level(client: Client, board: StatusBoard) -> None:
    told(board, "d1", "online", 0)
    told(board, "d2", "online", 0)
    told(board, "d3", "offline", 2)
    values = as_values(client.application.extensions[EXTENSION].samples())
    assert [values[f"devices_online_qos{qos}"] for qos in range(3)] == [2, 0, 0]
    assert [values[f"devices_offline_qos{qos}"] for qos in range(3)] == [0, 0, 1]


def test_gaps_are_counted_at_intervals_and_stand_among_the_own_figures(
    written: Store, board: StatusBoard, now_ms: int
) -> None:
    told(board, "d0", "online", 0)
    told(board, "d2", "online", 2)
    written.write([reading("d0", now_ms + seq, seq) for seq in range(10) if seq not in {3, 7}])
    written.write([reading("d2", now_ms + seq, seq) for seq in range(5)])
    watch = GapWatch(board, 0.05)
    assert not list(watch.samples())
    watch.start(written)
    eventually(lambda: bool(list(watch.samples())))
    watch.stop()
    values = as_values(watch.samples())
    assert (values["stored_readings_qos0"], values["missing_readings_qos0"]) == (8, 2)
    assert (values["stored_readings_qos2"], values["missing_readings_qos2"]) == (5, 0)
