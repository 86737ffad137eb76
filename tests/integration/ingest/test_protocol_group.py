"""A group's members, and the broker's counter of dropped messages, over connections."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from ingest.settings import IngestSettings
from ingest.sources.mqtt.broker_watch import (
    BROKER_TOPICS,
    CLIENTS_TOPIC,
    RETAINED_TOPIC,
    STORED_TOPIC,
)
from ingest.sources.mqtt.members_listing import list_members
from telemetry.settings import Secret
from tests.eventually import eventually_async, passing
from tests.integration.ingest.conftest import StartIngest
from tests.log_lines import Line
from tests.scripted_broker import SUBACK, SUBSCRIBE, ScriptedBroker, packet, publish

RETAINED_AT_QOS_1 = 0x33
DROPPED = "$SYS/broker/publish/messages/dropped"


def status(client_id: str, state: str | None, group: str = "a") -> bytes:
    word = {"state": state, "group": group, "profile": "ingest"}
    payload = json.dumps(word).encode() if state else b""
    return publish(f"status/denyut/{client_id}", payload, qos=0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member is an orphan after 0.3 s, which is looked for ten times a second."""
    monkeypatch.setattr("ingest.sources.mqtt.members._ORPHAN_AFTER_SECONDS", 0.3)
    monkeypatch.setattr("ingest.sources.mqtt.source._ORPHAN_LOOK_SECONDS", 0.1)


async def test_a_member_that_is_away_and_has_not_left_is_named_once(
    broker: ScriptedBroker, start_ingest: StartIngest, logged: list[Line]
) -> None:
    service = await start_ingest(share_group="a")
    broker.send(status("ingest-2", "offline") + status("ingest-3", "online"))
    broker.send(status("ingest-1", "offline") + status("ingest-4", "offline", group="b"))

    await eventually_async(lambda: service.tally.orphans)
    named_s = time.monotonic()
    await eventually_async(lambda: time.monotonic() - named_s > 0.4)  # several looks later

    assert service.tally.orphans == 1
    parked = [line["member"] for line in logged if "its share is parked" in line["event"]]
    assert parked == ["ingest-2"]


@pytest.mark.parametrize("state", ["online", None], ids=["comes back", "leaves for good"])
async def test_a_member_is_no_orphan_once_it(
    broker: ScriptedBroker, start_ingest: StartIngest, state: str | None
) -> None:
    service = await start_ingest(share_group="a")
    broker.send(status("ingest-2", "offline"))
    await eventually_async(lambda: service.tally.orphans == 1)

    broker.send(status("ingest-2", state))

    await eventually_async(lambda: service.tally.orphans == 0)


async def test_a_member_that_left_while_we_were_not_connected_is_no_orphan(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """Its status was taken away: only those that are retained come again."""
    service = await start_ingest(share_group="a")
    broker.send(status("ingest-2", "offline") + status("ingest-3", "offline"))
    await eventually_async(lambda: service.tally.orphans == 2)
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)
    broker.send(status("ingest-3", "offline"))

    await eventually_async(lambda: service.tally.orphans == 1)


async def test_members_are_listed_however_late_the_broker_answers(
    broker: ScriptedBroker, tmp_path: Path
) -> None:
    broker.answers.discard(SUBSCRIBE)
    settings = IngestSettings.load(
        {},
        broker_port=broker.port,
        password=Secret("hush"),
        store_url=f"sqlite:///{tmp_path}/store.db",
    )
    listing = asyncio.create_task(list_members(settings))
    await eventually_async(lambda: broker.kinds(SUBSCRIBE), what="a question")
    await passing(0.8)

    broker.answers.add(SUBSCRIBE)
    answer = broker.kinds(SUBSCRIBE)[0].body[:2] + b"\0\0"
    broker.send(status("ingest-2", "offline") + packet(SUBACK, answer))

    assert [one.client_id for one in (await listing).members] == ["ingest-2"]


async def test_an_ingest_without_a_group_asks_for_no_statuses(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    await start_ingest()

    asked = {one for packet in broker.kinds(SUBSCRIBE) for one in packet.filters}
    assert asked == {"telemetry/+/+/+", *BROKER_TOPICS}


async def test_the_brokers_drops_are_counted_over_connections_and_restarts_of_the_broker(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest()
    broker.send(publish(DROPPED, b"1000", qos=0))  # before our time
    broker.send(publish(DROPPED, b"1005", qos=0))
    await eventually_async(lambda: service.tally.broker_dropped == 5)
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)
    broker.send(publish(DROPPED, b"1007", qos=0))  # retained, while we were away
    await eventually_async(lambda: service.tally.broker_dropped == 7)
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 3)
    broker.send(publish(DROPPED, b"nonsense", qos=0))
    broker.send(publish(DROPPED, b"3", qos=0))  # begun anew

    await eventually_async(lambda: service.tally.broker_dropped == 10)


async def test_what_the_broker_holds_is_what_it_stores_less_what_is_retained(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest()
    broker.send(publish(STORED_TOPIC, b"250", qos=0) + publish(RETAINED_TOPIC, b"48", qos=0))
    broker.send(publish(CLIENTS_TOPIC, b"102", qos=0))

    await eventually_async(lambda: service.tally.broker_queued == 202)
    await eventually_async(lambda: service.tally.broker_clients == 102)


@pytest.mark.parametrize("group", ["", "a"])
async def test_an_ingest_says_that_it_is_there_once_it_has_subscribed(
    broker: ScriptedBroker, start_ingest: StartIngest, group: str
) -> None:
    """Also one that shares with nobody: by that the API knows that somebody stores."""
    await start_ingest(share_group=group)
    await eventually_async(lambda: len(broker.kinds(RETAINED_AT_QOS_1)) == 1)
    (said,) = broker.kinds(RETAINED_AT_QOS_1)
    assert b"status/denyut/ingest-1" in said.body
    assert b'"online"' in said.body
    order = [one.kind for one in broker.kinds(SUBSCRIBE, RETAINED_AT_QOS_1)]
    assert order == [SUBSCRIBE] * (len(order) - 1) + [RETAINED_AT_QOS_1]
