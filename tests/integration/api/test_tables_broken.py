"""A table on its way from a real InfluxDB through a real server, and how a reader sees its end."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from stack.broker import Broker
from stack.local import LocalStack
from telemetry.reading import Reading

READINGS = 150_000
BATCH = 5_000


@pytest.fixture
def start_ms(influxd_installed: None, local: LocalStack, broker: Broker) -> int:  # noqa: ARG001
    """A store with more readings than the buffers on the way hold, from this time on."""
    assert broker.is_running
    local.start_influxdb()
    start_ms = time.time_ns() // 1_000_000 - READINGS * 1_000
    store = local.open_store(read_only=False)
    for begin in range(0, READINGS, BATCH):
        numbers = range(begin, begin + BATCH)
        store.write([Reading("s", "d1", "m", start_ms + 1_000 * n, {"a": n / 7}) for n in numbers])
    store.close()
    return start_ms


@contextmanager
def table(local: LocalStack, start_ms: int, wanted: str) -> Iterator[http.client.HTTPResponse]:
    api = local.start_api()
    path = f"/v1/devices/d1/readings?start={start_ms}&stop=now&format={wanted}"
    with closing(http.client.HTTPConnection(api.host, api.port, timeout=60)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as response:
            assert response.status == 200
            assert response.getheader("Transfer-Encoding") == "chunked"
            yield response
    assert api.get("/healthz")[0] == 200


@pytest.mark.parametrize("wanted", ["csv", "ndjson"])
def test_a_table_whose_store_goes_away_is_not_taken_for_a_whole_one(
    local: LocalStack, start_ms: int, wanted: str
) -> None:
    with table(local, start_ms, wanted) as response:
        begun = response.read(1_000)
        next(one for one in local.processes if one.name == "influxdb").kill()
        with pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
    assert (begun + broken.value.partial).count(b"\n") < READINGS


def test_a_whole_table_ends_as_one(local: LocalStack, start_ms: int) -> None:
    with table(local, start_ms, "csv") as response:
        lines = response.read().splitlines()
    assert len(lines) == READINGS + 1
    assert lines[-1].endswith(str((READINGS - 1) / 7).encode())
