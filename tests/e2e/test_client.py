"""The client's stream, end to end: what was stored was heard, though the API was away meanwhile."""

import threading

from stack.local import LocalStack
from telemetry.client import Client, Reading
from telemetry.reading import Reading as Stored
from telemetry.store import Selection
from tests.eventually import eventually

DEVICES = 12
FIGURES = {"INGEST_FIGURES_INTERVAL_MS": "500"}
SETTINGS = {"API_STREAM_OVERLAP_SECONDS": "2"}

Key = tuple[str, int | None]


def test_a_stream_misses_no_stored_reading_while_the_api_is_killed(local: LocalStack) -> None:
    local.start_broker()
    local.start_ingest(settings=FIGURES)
    api = local.start_api(settings=SETTINGS)
    heard: list[Reading] = []

    def listen() -> None:
        for event in stream:
            if isinstance(event, Reading):
                heard.append(event)

    def stored() -> list[Stored]:
        store = local.open_store()
        try:
            range_ = Selection(start_ms=0, stop_ms=2**42, except_site="denyut")
            return store.readings(range_, limit=100_000)
        finally:
            store.close()

    def missing() -> set[Key]:
        known = {(one.device, one.seq) for one in heard.copy()}
        return {(one.device, one.seq) for one in stored()} - known

    with Client(api.url) as client, client.stream(kinds="readings") as stream:
        thread = threading.Thread(target=listen)
        thread.start()
        fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=10)
        eventually(lambda: len(heard) > DEVICES, deadline_seconds=30)
        api.kill()
        api.restart()
        fleet.wait(60)
        assert len(stored()) > 10 * DEVICES
        eventually(lambda: not missing(), deadline_seconds=30, what="all that is stored")
        assert stream.reconnects >= 1
        stream.close()
        thread.join(10)
        assert not thread.is_alive()
