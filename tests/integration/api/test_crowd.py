"""Many at once, before a real server and a real store: equal questions, different ones, and odd."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.integration.api.conftest import reading

READINGS = 40_000


class Answered(Struct, frozen=True):
    """What came back, and after how long."""

    status: int
    head: str
    seconds: float


@pytest.fixture
def started(local: LocalStack, broker: Broker, now_ms: int) -> dict[str, Any]:
    assert broker.is_running
    store = open_store(StoreSettings(store_url=local.store_url))
    for first in range(0, READINGS, 5_000):
        numbers = range(first, first + 5_000)
        store.write([reading(f"d{n % 20}", now_ms - 80 * n, n, t=float(n % 97)) for n in numbers])
    store.close()
    return {"local": local}


def start(started: dict[str, Any], **settings: str) -> Service:
    local: LocalStack = started["local"]
    return local.start_api(settings={f"API_{name}": value for name, value in settings.items()})


async def ask_one(api: Service, path: str) -> Answered:
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    seconds = time.perf_counter() - begun
    await reader.read()
    writer.close()
    return Answered(int(head.split()[1]), head.decode(), seconds)


def ask_at_once(api: Service, paths: Sequence[str]) -> list[Answered]:
    async def ask_all() -> list[Answered]:
        return await asyncio.gather(*(ask_one(api, path) for path in paths))

    return asyncio.run(ask_all())


def figure(api: Service, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(api.get("/metrics")[1])
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"denyut_api_{name}" and labels.items() <= sample.labels.items()
    )


def test_a_hundred_equal_questions_at_once_become_one_query(started: dict[str, Any]) -> None:
    # Also the last of them comes within this, where the machine is busy.
    api = start(started, CACHE_MS="20000")
    before = figure(api, "store_queries_total")
    found = ask_at_once(api, ["/v1/readings?start=-2h&every=1m&aggregate=p99&limit=10000"] * 100)
    assert Counter(one.status for one in found) == {200: 100}
    assert figure(api, "store_queries_total") - before == 1


HEAVY = [f"/v1/readings?start=-2h&every={n + 1}s&aggregate=p99&limit=10000" for n in range(200)]
ORDINARY = [
    "/v1/latest",
    "/v1/devices",
    "/v1/fleet",
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/devices/d1",
]


def test_too_much_at_once_is_refused_at_once_while_ordinary_calls_go_on(
    started: dict[str, Any],
) -> None:
    api = start(started, THREADS="2", MAX_WAITING="2", CACHE_MS="0", STORE_TIMEOUT_SECONDS="30")

    async def ask_all() -> tuple[list[Answered], list[Answered]]:
        heavy = [asyncio.create_task(ask_one(api, path)) for path in HEAVY]
        await asyncio.sleep(0)
        ordinary = [await ask_one(api, path) for path in ORDINARY]
        return await asyncio.gather(*heavy), ordinary

    found, ordinary = asyncio.run(ask_all())
    refused = [one for one in found if one.status == 429]
    assert [one.status for one in ordinary] == [200] * len(ORDINARY)
    assert {one.status for one in found} == {200, 429}
    assert len(refused) > 100
    assert all("Retry-After: 1\r\n" in one.head for one in refused)
    assert figure(api, "refused_requests_total", reason="busy") == len(refused)


TOO_MUCH = [
    "/v1/readings?start=2016-01-01T00:00:00Z&stop=2026-01-01T00:00:00Z",
    "/v1/readings?start=-3650d&every=1s",
    "/v1/devices/d1/readings?start=-3650d",
    "/v1/readings?limit=1000000000",
    "/v1/latest?limit=1000000000",
    "/v1/devices?limit=1000000000",
    "/v1/sites?limit=1000000000",
    "/v1/measurements?limit=1000000000",
    "/v1/readings?points=1000000000",
    "/v1/readings?cursor=AAAAAAAAAAAAAAAAAAAAAAAA",
]


def test_what_asks_for_too_much_is_refused_before_the_store_is_asked(
    started: dict[str, Any],
) -> None:
    api = start(started)
    before = figure(api, "store_queries_total")
    one_by_one = [ask_at_once(api, [path])[0] for path in TOO_MUCH * 5]
    assert statistics.median(one.seconds for one in one_by_one) < 0.5
    found = one_by_one + ask_at_once(api, TOO_MUCH * 34)
    assert {one.status for one in found} == {400}
    assert figure(api, "store_queries_total") == before
