"""Streams and commands with all real parts: fleet, broker, ingest, store, and two replicas."""

import os
import signal
import time
from typing import Any
from urllib.request import Request, urlopen

import msgspec

from api.times import rfc3339
from stack.local import LocalStack
from stack.services import Service
from telemetry.store import Selection
from tests.eventually import eventually
from tests.integration.api.listening import Listener, listening

DEVICES = 30
RUN_SECONDS = 14
SETTINGS = {"API_CACHE_MS": "0", "API_STREAM_OVERLAP_SECONDS": "2"}

Key = tuple[str, str, int]


def heard(*listeners: Listener) -> set[Key]:
    """Which readings came, by device, boot and number."""
    return {
        (one["device"], one["boot"], one["seq"])
        for listener in listeners
        for one in listener.of("reading")
    }


def stored(local: LocalStack, since_ms: int) -> set[Key]:
    """Which readings of devices are stored, of a time on, as the API tells them."""
    selection = Selection(start_ms=since_ms, stop_ms=2**62, except_site="denyut")
    store = local.open_store()
    try:
        found = store.readings(selection, limit=100_000)
    finally:
        store.close()
    return {
        (one.device, rfc3339(one.boot_ms), one.seq)
        for one in found
        if one.boot_ms is not None and one.seq is not None
    }


def test_a_reader_that_changes_replicas_under_traffic_misses_no_stored_reading(
    local: LocalStack,
) -> None:
    """One replica is killed while ingest holds what it took, and stores it only later."""
    local.start_broker()
    ingest = local.start_ingest(settings={"INGEST_FIGURES_INTERVAL_MS": "500"})
    first_api = local.start_api("api-1", settings=SETTINGS)
    other_api = local.start_api("api-2", settings=SETTINGS)
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS)
    with listening(first_api, kinds="readings") as first:
        first.await_live()
        eventually(lambda: first.of("reading"), what="the first reading")
        joined_ms = time.time_ns() // 1_000_000
        eventually(lambda: len(first.of("reading")) > 3 * DEVICES, what="readings")
        os.kill(ingest.pid, signal.SIGSTOP)
        first_api.kill()
    last_id = first.last_id
    began_s = time.monotonic()
    eventually(lambda: time.monotonic() - began_s > 1.5)
    with listening(other_api, last_id, kinds="readings") as other:
        other.await_live()
        # A first look finds nothing of what ingest holds.
        eventually(lambda: "catch_up_readings_total 0.0" not in other_api.get("/metrics")[1])
        os.kill(ingest.pid, signal.SIGCONT)
        fleet.wait(RUN_SECONDS + 20)
        eventually(lambda: other.last_id != last_id, deadline_seconds=30, what="all that is owed")
        wanted = stored(local, joined_ms)
        assert len(wanted) > 10 * DEVICES
        eventually(lambda: not wanted - heard(first, other), what="every stored reading")
        assert other.of("gap") == other.of("end") == []


def tell(api: Service, device: str, name: str, body: bytes) -> Any:
    """Send a command and return what the device answers."""
    url = f"http://{api.host}:{api.port}/v1/devices/{device}/commands/{name}"
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with urlopen(request, timeout=20) as response:
        found = msgspec.json.decode(response.read())
    assert (found["device"], found["name"], found["ok"]) == (device, name, True)
    return found["answer"]


def test_a_simulated_device_obeys(local: LocalStack) -> None:
    local.start_broker()
    local.start_ingest()
    api = local.start_api(settings=SETTINGS)
    fleet = local.start_fleet("demo", devices=3)
    device = local.device_names("demo", 3)[0]
    eventually(lambda: '"online"' in api.get(f"/v1/devices/{device}")[1], what="the device")
    tell(api, device, "set-period", b'{"period_ms":100}')
    with listening(api, device=device, kinds="readings") as listener:
        listener.await_live()
        before = len(listener.of("reading"))
        began_s = time.monotonic()
        eventually(lambda: len(listener.of("reading")) >= before + 20, what="twenty readings")
        assert time.monotonic() - began_s < 12
        boots = {one["boot"] for one in listener.of("reading")}
        tell(api, device, "reboot", b"{}")
        eventually(lambda: {one["boot"] for one in listener.of("reading")} - boots, what="a boot")
    tell(api, device, "set-fault", b'{"fault":null}')
    fleet.stop()
