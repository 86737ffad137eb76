"""What people ask, of a real API."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.client import (
    BadRequest,
    Client,
    DeviceOffline,
    KeyWanted,
    NotAllowed,
    NotFound,
    Unreachable,
)
from telemetry.keys import Scope, make_key
from telemetry.keys import file as key_file
from tests.integration.client.conftest import DEVICES, SECONDS, SETTINGS, START_MS

START = datetime.fromtimestamp(START_MS / 1_000, UTC)
STOP = START + timedelta(seconds=SECONDS)


def new_key(file: Path, *scopes: Scope, devices: list[str] | None = None) -> str:
    """Put another key into an API's file."""
    key, entry = make_key("test", list(scopes), devices, made="2026-01-31T12:00:00Z")
    key_file.add(file, entry)
    return key


def test_readings_come_over_all_pages_in_order(client: Client) -> None:
    asked = client.readings(start=START, stop=STOP, page_size=7)
    found = list(asked)
    assert len(found) == len(DEVICES) * SECONDS
    assert [(one.time, one.device) for one in found] == sorted(
        (one.time, one.device) for one in found
    )
    assert found[0].values == {"temperature": 20.0, "sunny": True}
    assert (found[0].time, found[0].boot, found[0].seq) == (START, START, 0)
    assert [len(page.readings) for page in asked.pages()] == [7] * 21 + [3]
    assert list(asked) == found, "it can be iterated over again"


def test_readings_are_of_what_was_asked(client: Client) -> None:
    found = list(
        client.readings(
            "d1", measurement="weather", fields=["sunny"], start=START, stop=STOP, order="desc"
        )
    )
    assert [one.time for one in found] == [
        STOP - timedelta(seconds=second + 1) for second in range(SECONDS)
    ]
    assert found[0].values == {"sunny": False}
    assert {one.device for one in client.readings(site="yard", start=START, stop=STOP)} == {"d3"}
    assert list(client.readings("d1", start=STOP, stop=STOP + timedelta(hours=1))) == []


def test_readings_are_gathered_over_intervals(client: Client) -> None:
    asked = client.readings(
        "d1", start=START, stop=STOP, every=timedelta(seconds=10), aggregate="max"
    )
    assert [one.values["temperature"] for one in asked] == [29.0, 39.0, 49.0, 59.0, 69.0]
    page = next(client.readings("d1", start=START, stop=STOP, points=5).pages())
    assert (page.every_ms, page.aggregate, page.resolution) == (10_000, "mean", "raw")


def test_readings_are_a_frame(client: Client) -> None:
    frame = client.readings(start=START, stop=STOP, page_size=40).frame()
    assert len(frame) == len(DEVICES) * SECONDS
    assert frame.groupby("device", observed=True)["temperature"].max().to_dict() == dict.fromkeys(
        DEVICES, 69.0
    )


def test_lists_come_over_all_pages(client: Client) -> None:
    assert [one.device for one in client.devices()] == list(DEVICES)
    assert [one.device for one in client.devices(site="hall", prefix="d")] == ["d1", "d2"]
    assert [one.device for one in client.devices(state="online")] == []
    assert [(one.site, one.devices) for one in client.sites()] == [("hall", 2), ("yard", 1)]
    (measurement,) = client.measurements()
    assert {one.name: (one.type, one.unit) for one in measurement.fields} == {
        "sunny": ("boolean", None),
        "temperature": ("number", "Cel"),
    }
    device = client.device("d3")
    assert (device.site, device.measurements) == ("yard", ("weather",))


def test_the_latest_readings_are_of_the_fleet_a_site_or_a_device(client: Client) -> None:
    assert [one.seq for one in client.latest().readings] == [SECONDS - 1] * len(DEVICES)
    assert [one.device for one in client.latest(site="yard").readings] == ["d3"]
    assert [one.device for one in client.latest("d1").readings] == ["d1"]
    assert client.latest(limit=1).truncated


def test_the_fleet_and_its_delivery_are_told(client: Client) -> None:
    assert client.fleet().devices == len(DEVICES)
    assert client.delivery().by_qos["unknown"].stored == len(DEVICES) * SECONDS


def test_what_the_api_refuses_is_an_exception_of_its_own(client: Client) -> None:
    with pytest.raises(BadRequest) as refusal:
        list(client.readings(measurement="no name"))
    assert refusal.value.parameter == "measurement"
    assert refusal.value.type == "urn:denyut:problem:bad-parameter"
    assert refusal.value.request_id
    with pytest.raises(NotFound, match="No device 'd9'"):
        client.device("d9")
    with pytest.raises(NotFound):
        list(client.readings("../fleet"))
    with pytest.raises(DeviceOffline):
        client.command("d1", "reboot")
    assert [one.name for one in client.commands("d1")] == ["set-period", "set-fault", "reboot"]


def test_a_client_may_be_shared_by_threads(client: Client) -> None:
    found: dict[str, int] = {}

    def ask(device: str) -> None:
        found[device] = len(list(client.readings(device, start=START, stop=STOP, page_size=5)))

    threads = [threading.Thread(target=ask, args=[device]) for device in DEVICES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == dict.fromkeys(DEVICES, SECONDS)


def test_a_connection_that_the_api_has_closed_meanwhile_is_no_trouble(
    api: Service, client: Client
) -> None:
    client.fleet()
    api.restart()
    assert client.fleet().devices == len(DEVICES)


def test_keys_are_shown_and_a_new_one_is_read_from_its_file(
    stack: LocalStack, mosquitto: Broker, tmp_path: Path
) -> None:
    assert mosquitto.is_running
    keys, own = tmp_path / "keys", tmp_path / "key"
    own.write_text(new_key(keys, "read"))
    api = stack.start_api("api-2", settings={**SETTINGS, "API_KEYS_FILE": str(keys)})
    with Client(api.url) as stranger, pytest.raises(KeyWanted):
        stranger.fleet()
    with Client(api.url, key_file=own) as client:
        assert client.fleet().devices == len(DEVICES)
        with pytest.raises(NotAllowed):
            client.command("d1", "reboot")
        keys.unlink()
        own.write_text(new_key(keys, "read", devices=["d1"]))
        assert client.device("d1").device == "d1"
        assert len(list(client.readings("d1", start=START, stop=STOP, page_size=20))) == SECONDS
        with pytest.raises(NotAllowed):
            client.device("d2")


def test_an_api_that_is_not_there_is_unreachable() -> None:
    with Client("http://127.0.0.1:9", patience_seconds=0.5) as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
            client.fleet()
        with pytest.raises(Unreachable):
            client.stream()
