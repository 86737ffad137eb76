"""The live stream, from a real Mosquitto to readers over HTTP."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store import Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import STALL_SECONDS, eventually
from tests.integration.api.conftest import own_figures, reading
from tests.integration.api.listening import Listener, StreamRefused, listening
from tests.integration.api.test_service import STATUS, connected

BOOT_MS = 1_700_000_000_000
INGEST_STATUS = "status/denyut/ingest-1"
ONLINE = b'{"state":"online","group":"","profile":"ingest"}'
OFFLINE = b'{"state":"offline","group":"","profile":"ingest"}'
SETTINGS = {
    "API_CACHE_MS": "0",
    "API_STREAM_OVERLAP_SECONDS": "1",
    "API_STREAM_HEARTBEAT_SECONDS": "0.5",
}

StartApi = Callable[..., Service]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def payload(seq: int, time_ms: int | None = None) -> bytes:
    return msgspec.json.encode(
        {"ts": time_ms or now_ms(), "values": {"t": 21.5}, "boot": BOOT_MS, "seq": seq}
    )


@pytest.fixture
def store(local: LocalStack) -> Iterator[Store]:
    """The store as ingest holds it."""
    found = open_store(StoreSettings(store_url=local.store_url))
    found.write([])
    yield found
    found.close()


@pytest.fixture
def start(local: LocalStack, broker: Broker, store: Store) -> StartApi:
    """Start an API before a broker that lets two devices in, and a store that is there."""
    assert store.series() == []
    broker.admit(["d1", "d2"])

    def start_it(**settings: str) -> Service:
        return local.start_api(settings={**SETTINGS, **settings})

    return start_it


@contextmanager
def an_ingest(broker: Broker) -> Iterator[MqttClient]:
    """One that has subscribed and says so, but stores nothing."""
    with connected(broker, "ingest") as client:
        client.subscribe("telemetry/#", qos=1)
        client.publish(INGEST_STATUS, ONLINE, qos=1, retain=True).wait_for_publish(5)
        yield client


def publish(device: MqttClient, seq: int, topic: str = "telemetry/hall/d1/weather") -> None:
    device.publish(topic, payload(seq), qos=1).wait_for_publish(5)


def test_readings_and_states_are_streamed_as_they_come(broker: Broker, start: StartApi) -> None:
    api = start()
    with an_ingest(broker), connected(broker, "d1") as device, listening(api) as listener:
        listener.await_live()
        device.publish("status/hall/d1", STATUS, qos=1, retain=True)
        before_ms = now_ms()
        publish(device, 7)
        eventually(lambda: listener.of("reading") and listener.of("status"))
        assert now_ms() - before_ms < 2_000 + 1_000 * STALL_SECONDS
        (found,) = listener.of("reading")
        assert list(found) == ["time", "site", "device", "measurement", "values", "boot", "seq"]
        assert (found["site"], found["device"], found["measurement"]) == ("hall", "d1", "weather")
        assert (found["values"], found["seq"]) == ({"t": 21.5}, 7)
        (state,) = listener.of("status")
        assert (state["device"], state["state"], state["qos"]) == ("d1", "online", 1)
        assert listener.headers["Content-Type"].startswith("text/event-stream")
        assert listener.headers["X-Accel-Buffering"] == "no"
        assert listener.retry_ms
        eventually(lambda: listener.comments >= 2, what="a heartbeat")


def test_a_stream_tells_only_what_is_wanted(broker: Broker, start: StartApi) -> None:
    api = start()
    with (
        an_ingest(broker),
        connected(broker, "d1") as one,
        connected(broker, "d2") as two,
        listening(api) as everything,
        listening(api, device="d2") as of_device,
        listening(api, prefix="d1", kinds="readings") as of_prefix,
        listening(api, site="yard") as of_site,
        listening(api, measurement="air") as of_measurement,
        listening(api, kinds="status") as states,
    ):
        readers = (everything, of_device, of_prefix, of_site, of_measurement)
        for reader in readers:
            reader.await_live()
        one.publish("status/hall/d1", STATUS, qos=1, retain=True)
        publish(one, 1)
        publish(one, 2, "telemetry/hall/d1/air")
        publish(two, 3, "telemetry/yard/d2/weather")
        one.publish("telemetry/hall/d1/weather", b"not a reading", qos=1)
        # Whoever has heard the last one that it wants has heard all before it.
        publish(one, 4, "telemetry/yard/d1/air")
        publish(two, 5, "telemetry/hall/d2/weather")
        last = [5, 5, 4, 4, 4]
        eventually(lambda: [reader.seqs()[-1:] for reader in readers] == [[one] for one in last])
        eventually(lambda: states.of("status"))
        assert everything.seqs() == [1, 2, 3, 4, 5]
        assert [reader.seqs() for reader in readers[1:]] == [[3, 5], [1, 2, 4], [3, 4], [2, 4]]
        assert states.of("reading") == of_prefix.of("status") == []
    metrics = api.get("/metrics")[1]
    assert "denyut_api_unreadable_messages_total 1.0" in metrics


def test_a_listener_does_not_make_the_broker_say_that_somebody_stores(
    broker: Broker, start: StartApi
) -> None:
    api = start()
    reasons: list[int] = []

    def note(_c: object, _u: object, _mid: int, reason: ReasonCode, _p: Properties) -> None:
        reasons.append(reason.value)

    with connected(broker, "d1") as device, listening(api) as listener:
        device.on_publish = note
        eventually(
            lambda: [one["reason"] for one in listener.of("feed")][-1:] == ["no ingest is online"]
        )
        publish(device, 1)
        assert reasons == [0x10]
        with an_ingest(broker) as ingest:
            listener.await_live()
            publish(device, 2)
            eventually(lambda: listener.seqs() == [2])
            ingest.publish(INGEST_STATUS, OFFLINE, qos=1, retain=True).wait_for_publish(5)
            eventually(lambda: not listener.of("feed")[-1]["live"])
        assert reasons == [0x10, 0x00]

        def nobody_stores() -> bool:
            publish(device, 3)
            return reasons[-1] == 0x10

        eventually(nobody_stores)


def test_without_listeners_there_is_no_connection_for_them(broker: Broker, start: StartApi) -> None:
    api = start()
    with an_ingest(broker):
        assert "api-1-live-" not in broker.log_tail(500)
        began_s = time.monotonic()
        with listening(api) as listener:
            eventually(lambda: listener.of("feed"))
            waited_s = time.monotonic() - began_s
            # It waits for two seconds at the most.
            assert listener.of("feed")[0]["live"] or waited_s >= 2, "it began live"
        with listening(api, kinds="status"), listening(api) as listener:
            listener.await_live()
        assert broker.log_tail(500).count("as api-1-live-") == 1


def test_a_reader_that_comes_again_misses_nothing_that_was_stored(
    broker: Broker, start: StartApi, store: Store
) -> None:
    """Also what is far older than where it was, as ingest says how far back that goes."""
    api = start()
    hour_ago_ms = now_ms() - 1_800_000
    with an_ingest(broker), connected(broker, "d1") as device:
        with listening(api, kinds="readings") as first:
            first.await_live()
            publish(device, 1)
            eventually(lambda: first.seqs() == [1])
            last_id = first.heard[-1].id
        assert last_id is not None
        now = now_ms()
        store.write([reading("d1", hour_ago_ms, 2), reading("d1", now, 3), reading("d2", now, 4)])
        store.write([own_figures("ingest", "ingest-1", now, oldest_written_ms=hour_ago_ms)])
        other = start_another(api, start)
        with listening(other, last_id, device="d1") as again:
            eventually(lambda: {2, 3} <= set(again.seqs()), what="what was stored meanwhile")
            # What ingest had in hand then is found when it says that this is stored as well.
            store.write([reading("d1", now + 1, 5)])
            told = own_figures("ingest", "ingest-1", now_ms() + 1_500, oldest_written_ms=now + 1)
            store.write([told])
            eventually(lambda: 5 in again.seqs(), what="what was on its way")
            assert {one.id for one in again.heard if one.kind == "reading"} == {last_id}
            eventually(lambda: again.last_id != last_id, what="the end of the debt")
            assert 4 not in again.seqs()


def start_another(api: Service, start: StartApi) -> Service:
    assert api.lacks() is None
    return start(API_CLIENT_ID="api-2")


def test_what_was_stored_while_the_broker_was_away_follows(
    broker: Broker, start: StartApi, store: Store
) -> None:
    api = start()
    with listening(api, kinds="readings") as listener:
        with an_ingest(broker):
            listener.await_live()
        broker.stop()
        eventually(lambda: not listener.of("feed")[-1]["live"], deadline_seconds=20)
        store.write([reading("d1", now_ms(), 1)])
        eventually(lambda: 1 in listener.seqs(), what="what was stored meanwhile")
        broker.start()
        with an_ingest(broker), connected(broker, "d1") as device:
            eventually(lambda: listener.of("feed")[-1]["live"], deadline_seconds=40)
            publish(device, 2)
            eventually(lambda: 2 in listener.seqs())


def test_a_range_too_long_or_too_full_is_named(start: StartApi, store: Store) -> None:
    api = start(API_STREAM_CATCH_UP_SECONDS="60", API_STREAM_CATCH_UP_READINGS="2000")
    now = now_ms()
    store.write([reading("d1", now - 5_000 + n, n) for n in range(4_000)])
    with listening(api, str(now - 3_600_000)) as listener:
        eventually(lambda: len(listener.of("gap")) >= 2)
        assert [gap["reason"] for gap in listener.of("gap")][:2] == ["too_long_ago", "too_many"]
        kinds = [one.kind for one in listener.heard]
        # Where it stays in debt it looks again, and sends some of them once more.
        assert kinds[: kinds.index("gap", kinds.index("gap") + 1)].count("reading") == 2_000


def test_a_slow_reader_is_dropped_with_a_word_and_slows_nobody(
    broker: Broker, start: StartApi
) -> None:
    api = start(API_STREAM_QUEUE_BYTES="200000")
    with an_ingest(broker), connected(broker, "d1") as device, listening(api) as quick:
        quick.await_live()
        connection = slow_connection(api)
        try:
            flood(api, device, quick)
            rest = b""
            while found := connection.recv(1 << 20):
                rest += found
                if b"event: end" in rest:
                    break
            assert b'"reason":"slow"' in rest.rpartition(b"event: end")[2]
        finally:
            connection.close()


def flood(api: Service, device: MqttClient, quick: Listener) -> None:
    """Publish, no faster than `quick` reads, until somebody is dropped."""
    for seq in range(10_000):
        body = {"ts": now_ms(), "values": {"t": "x" * 30_000}, "boot": BOOT_MS, "seq": seq}
        device.publish("telemetry/hall/d1/weather", msgspec.json.encode(body), qos=0)
        if seq % 5 == 4:
            eventually(lambda: quick.seqs()[-1:] == [seq], what="the quick one's reading")  # noqa: B023
        if seq % 20 == 19 and "streams_dropped_total 1.0" in api.get("/metrics")[1]:
            assert quick.seqs() == list(range(seq + 1))
            return
    raise AssertionError("nobody was dropped")


def slow_connection(api: Service) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(20)
    connection.connect((api.host, api.port))
    connection.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


def test_more_streams_than_may_be_are_refused(broker: Broker, start: StartApi) -> None:
    assert broker.is_running
    api = start(API_MAX_STREAMS="2")
    with listening(api), listening(api, kinds="status"):
        status, text = api.get("/v1/stream")
        assert status == 429
        assert msgspec.json.decode(text)["type"] == "urn:denyut:problem:too-many-streams"
        assert api.get("/v1/fleet")[0] == 200

    def is_open_again() -> bool:
        try:
            with listening(api):
                return True
        except StreamRefused:
            return False

    eventually(is_open_again)


def test_a_stop_ends_streams_with_a_word(broker: Broker, start: StartApi) -> None:
    assert broker.is_running
    api = start(API_DRAIN_SECONDS=str(1 + STALL_SECONDS))
    with listening(api) as listener, listening(api, kinds="status") as other:
        eventually(lambda: listener.of("feed"))
        os.kill(api.pid, signal.SIGTERM)
        eventually(lambda: listener.has_ended and other.has_ended)
        assert [one["reason"] for one in listener.of("end")] == ["stopping"]
        # Whoever comes back before a proxy has noticed is not told off: browsers would give up.
        with listening(api) as again:
            eventually(lambda: again.has_ended)
            assert again.retry_ms
    assert api.wait(10) == 0
    assert "Traceback" not in api.log_tail(200)
