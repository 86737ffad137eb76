"""Each alert rule, judged as Grafana does, on a real InfluxDB: true under its fault, else false."""

import http.client
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import yaml

from api.gaps import GapWatch
from bench.dashboard_fleet import KnownFleet, statuses
from ingest.tally import Tally, samples
from loadtest.devices import MEASUREMENT, SITE
from stack.dashboards.asking import QueryRefused, Server, Span
from stack.dashboards.written import FOLDER_PATH
from stack.influxdb import Influxd
from stack.local import LocalStack
from telemetry.latency import Latencies
from telemetry.metrics import as_values
from telemetry.reading import Reading
from telemetry.store import Store
from telemetry.topics import OWN_SITE
from tests.integration.stack.dashboard_server import as_grafana

MINUTE_MS = 60_000
State = Literal["normal", "firing", "no data", "error"]
RULES: dict[str, dict[str, Any]] = {
    rule["uid"].removeprefix("denyut-"): rule
    for rule in yaml.safe_load((FOLDER_PATH / "alerts.yaml").read_text())["groups"][0]["rules"]
}


class Grafana:
    """Judges rules: asks (A), reduces each series to its last number (B), compares it (C)."""

    def __init__(self, server: Server, now_ms: int) -> None:
        self.server = server
        self.now_ms = now_ms

    def states(self, name: str) -> dict[str, State]:
        """The state of each instance of a rule, by its labels; one of its own without any."""
        asked, reduced, compared = (one["model"] for one in RULES[name]["data"])
        assert (reduced["reducer"], reduced["expression"]) == ("last", "A")
        assert (compared["type"], compared["expression"]) == ("threshold", "B")
        seconds = RULES[name]["data"][0]["relativeTimeRange"]["from"]
        span = Span(self.now_ms - seconds * 1000, self.now_ms, asked["intervalMs"])
        try:
            frames = self.server.ask(asked, span, {})
        except QueryRefused:
            return {"": "error"}
        evaluator = compared["conditions"][0]["evaluator"]
        found: dict[str, State] = {}
        for frame in frames:
            numbers = [value for row in frame.rows for value in row[-1:] if value is not None]
            if numbers:
                bad = is_bad(float(numbers[-1]), evaluator["type"], evaluator["params"][0])
                labels = "/".join(frame.labels[name] for name in sorted(frame.labels))
                assert labels not in found, "two instances of one rule have the same labels"
                found[labels] = "firing" if bad else "normal"
        return found or {"": "no data"}

    def fires(self, name: str) -> bool:
        """Whether anybody would be told."""
        states = set(self.states(name).values())
        if "error" in states:
            return bool(RULES[name]["execErrState"] == "Alerting")
        if "no data" in states:
            return bool(RULES[name]["noDataState"] == "Alerting")
        return "firing" in states


def is_bad(value: float, kind: str, limit: float) -> bool:
    return value > limit if kind == "gt" else value < limit


@pytest.fixture(scope="module")
def stack(influxd_installed: None) -> Iterator[tuple[LocalStack, Influxd]]:  # noqa: ARG001
    with LocalStack() as local:
        yield local, local.start_influxdb()


@pytest.fixture
def store(stack: tuple[LocalStack, Influxd]) -> Iterator[Store]:
    """A store that is empty."""
    local, server = stack
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    token = (local.folder / "influxdb" / "operator-token").read_text()
    connection.request(
        "POST",
        "/api/v2/delete?org=denyut&bucket=telemetry",
        '{"start": "1970-01-01T00:00:00Z", "stop": "2100-01-01T00:00:00Z"}',
        {"Authorization": f"Token {token}"},
    )
    assert connection.getresponse().status == 204
    connection.close()
    opened = local.open_store(read_only=False)
    yield opened
    opened.close()


@pytest.fixture
def grafana(stack: tuple[LocalStack, Influxd]) -> Iterator[Grafana]:
    local, influxd = stack
    server = as_grafana(local, influxd)
    yield Grafana(server, time.time_ns() // 1_000_000)
    server.close()


def figures(measurement: str, time_ms: int, values: dict[str, Any], number: int = 1) -> Reading:
    name = f"{measurement.removeprefix('denyut_')}-{number}"
    return Reading(OWN_SITE, name, measurement, time_ms, values)


def ingest_counts(
    store: Store, now_ms: int, change: Callable[[Tally, Latencies], None], *, at_minute: int = -3
) -> None:
    """Figures of two ingests over half an hour, of which the first changes at some minute."""
    for number in (1, 2):
        tally, latencies = Tally(spool_budget_bytes=1_000_000), Latencies()
        for minute in range(-30, 1):
            for qos in range(3):
                tally.written[qos] += 1_000
                latencies.record(("0", "1", "2")[qos], [25])
            if number == 1 and minute == at_minute:
                change(tally, latencies)
            values = as_values(samples(tally, latencies))
            time_ms = now_ms + minute * MINUTE_MS
            store.write([figures("denyut_ingest", time_ms, values, number)])


def quarantines(tally: Tally, _latencies: Latencies) -> None:
    tally.quarantined += 2


def spools(tally: Tally, _latencies: Latencies) -> None:
    tally.spool_bytes = 510_000


def spools_a_little(tally: Tally, _latencies: Latencies) -> None:
    tally.spool_bytes = 490_000


def drops(tally: Tally, _latencies: Latencies) -> None:
    tally.broker_dropped += 1


def slows_down(tally: Tally, latencies: Latencies) -> None:
    tally.written[1] += 1_000
    latencies.record("1", [1_500] * 1_000)


def slows_down_a_little(tally: Tally, latencies: Latencies) -> None:
    tally.written[1] += 1_000
    latencies.record("1", [1_500] * 100)


def nothing(_tally: Tally, _latencies: Latencies) -> None:
    pass


@pytest.mark.parametrize(
    ("rule", "fault", "less"),
    [
        ("quarantine-growing", quarantines, nothing),
        ("spool-filling", spools, spools_a_little),
        ("broker-dropping", drops, nothing),
        ("latency", slows_down, slows_down_a_little),
    ],
)
def test_a_rule_over_ingests_figures_fires_under_its_fault_and_only_then(
    store: Store,
    grafana: Grafana,
    rule: str,
    fault: Callable[[Tally, Latencies], None],
    less: Callable[[Tally, Latencies], None],
) -> None:
    ingest_counts(store, grafana.now_ms, less)
    assert set(grafana.states(rule).values()) == {"normal"}

    ingest_counts(store, grafana.now_ms, fault)

    assert grafana.fires(rule)
    others = {name for name in RULES if name != rule and grafana.fires(name)}
    assert not others


@pytest.mark.parametrize("rule", ["quarantine-growing", "broker-dropping", "latency"])
def test_a_rule_is_over_when_its_fault_is(store: Store, grafana: Grafana, rule: str) -> None:
    fault = {"quarantine-growing": quarantines, "broker-dropping": drops, "latency": slows_down}

    ingest_counts(store, grafana.now_ms, fault[rule], at_minute=-25)

    assert set(grafana.states(rule).values()) == {"normal"}


def reading(device: str, time_ms: int, seq: int, boot_ms: int) -> Reading:
    return Reading("bandung", device, "weather", time_ms, {"a": 1.0, "b": True}, boot_ms, seq)


def test_a_device_is_silent_after_five_minutes_and_each_one_is_named(
    store: Store, grafana: Grafana
) -> None:
    now_ms = grafana.now_ms
    ages_minutes = {"well": 1, "nearly": 4.5, "silent": 6, "gone": 600, "retired": 60 * 26}
    for device, minutes in ages_minutes.items():
        store.write([reading(device, now_ms - round(minutes * MINUTE_MS), 1, now_ms)])

    assert grafana.states("device-silent") == {
        "well/bandung": "normal",
        "nearly/bandung": "normal",
        "silent/bandung": "firing",
        "gone/bandung": "firing",
    }


def test_nobody_is_told_that_a_load_test_is_over(store: Store, grafana: Grafana) -> None:
    time_ms = grafana.now_ms - 20 * MINUTE_MS
    store.write([Reading(SITE, "load-1-0000", MEASUREMENT, time_ms, {"value": 1.0}, time_ms, 0)])
    store.write([reading("well", grafana.now_ms - MINUTE_MS, 1, time_ms)])

    assert grafana.states("device-silent") == {"well/bandung": "normal"}


@pytest.mark.parametrize(("qos", "fires"), [(0, False), (1, True), (2, True)])
def test_loss_fires_for_gaps_at_qos_1_and_2_as_the_api_counts_them(
    store: Store, grafana: Grafana, stack: tuple[LocalStack, Influxd], qos: int, *, fires: bool
) -> None:
    now_ms = grafana.now_ms
    fleet = KnownFleet(devices=3, hours=1, now_ms=now_ms)
    watch = GapWatch(statuses(fleet), 0)
    reading_store = stack[0].open_store()

    def report(minute: int) -> None:
        watch.count(reading_store)
        values = as_values(watch.samples())
        store.write([figures("denyut_api", now_ms + minute * MINUTE_MS, values)])

    for device in range(3):
        name = fleet.name(device)
        store.write([reading(name, now_ms + seq, seq, now_ms) for seq in range(10)])
    report(-40)
    assert not grafana.fires("loss")
    store.write([reading(fleet.name(qos), now_ms + 12, 12, now_ms)])  # 10 and 11 are missing
    report(-20)
    assert grafana.fires("loss") is fires
    store.write([reading(fleet.name(qos), now_ms + seq, seq, now_ms) for seq in (10, 11)])
    report(-1)
    assert not grafana.fires("loss")
    reading_store.close()


def test_the_store_is_away_when_no_figures_come_in(store: Store, grafana: Grafana) -> None:
    ingest_counts(store, grafana.now_ms, nothing)
    assert grafana.states("store-away") == {"": "normal"}
    assert not grafana.fires("store-away")

    later = Grafana(grafana.server, grafana.now_ms + 4 * MINUTE_MS)

    assert later.states("store-away") == {"": "no data"}
    assert later.fires("store-away")


def test_the_store_is_away_when_it_does_not_answer_and_that_is_the_one_alert(
    influxd_installed: None,  # noqa: ARG001
) -> None:
    with LocalStack() as local:
        server = local.start_influxdb()
        grafana = Grafana(as_grafana(local, server), time.time_ns() // 1_000_000)
        store = local.open_store(read_only=False)
        ingest_counts(store, grafana.now_ms, nothing)
        store.close()
        assert not [name for name in RULES if grafana.fires(name)]

        server.stop()

        assert [name for name in RULES if grafana.fires(name)] == ["store-away"]
        grafana.server.close()
