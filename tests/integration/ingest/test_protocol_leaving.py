"""`leave`: a session ends only when the broker has nothing more for it, and all is acknowledged.

Statement numbers are those of MQTT 5.0 (OASIS Standard).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.leaving import Departure
from ingest.service import IngestService
from ingest.settings import IngestSettings
from ingest.sources.mqtt.broker_watch import BROKER_TOPICS
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from telemetry.settings import Secret
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import locked
from tests.scripted_broker import (
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SESSION_EXPIRY,
    SUBSCRIBE,
    UNSUBSCRIBE,
    ScriptedBroker,
    packet,
    publish,
)

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "telemetry/jakarta/node-1/weather"
FILTERS = len(["the readings", "the statuses", *BROKER_TOPICS])


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


class Leave:
    """A leave on its way, and what it said."""

    def __init__(self, settings: IngestSettings) -> None:
        self.said: list[str] = []
        self.service = IngestService(settings, leaving=True)
        departure = Departure(self.service, quiet_seconds=0.1, say=self.said.append)
        self.task = asyncio.create_task(departure.leave(None))

    async def done(self) -> None:
        async with asyncio.timeout(10):
            await self.task


@pytest.fixture
def settings(broker: ScriptedBroker, store_path: Path, tmp_path: Path) -> IngestSettings:
    return IngestSettings.load(
        {},
        broker_port=broker.port,
        password=Secret("hush"),
        store_url=f"sqlite:///{store_path}",
        data_dir=str(tmp_path / "data"),
        share_group="a",
        flush_interval_ms=10,
        stop_seconds=1.0,
    )


@pytest.fixture
async def leave(broker: ScriptedBroker, settings: IngestSettings) -> AsyncIterator[Leave]:
    """A leave that has unsubscribed."""
    broker.session_present = True
    leave = Leave(settings)
    await eventually_async(lambda: len(broker.kinds(UNSUBSCRIBE)) == FILTERS)
    yield leave
    leave.task.cancel()
    with suppress(asyncio.CancelledError):
        await leave.task


async def test_it_unsubscribes_from_everything_and_subscribes_to_nothing(
    broker: ScriptedBroker, leave: Leave
) -> None:
    await leave.done()

    unsubscribed = {one for packet in broker.kinds(UNSUBSCRIBE) for one in packet.filters}
    assert "$share/a/telemetry/+/+/+" in unsubscribed
    assert broker.kinds(SUBSCRIBE) == []


async def test_it_ends_the_session_after_everything_was_acknowledged(
    broker: ScriptedBroker, leave: Leave, stored: Callable[[], list[Reading]]
) -> None:
    for seq in range(1, 51):
        broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=seq))
    await leave.done()
    await eventually_async(lambda: broker.ended)

    assert len(stored()) == len(broker.kinds(PUBACK)) == 50
    assert broker.seen[-1].kind == DISCONNECT
    assert broker.seen[-1].disconnect_properties == {SESSION_EXPIRY: 0}
    assert leave.said[-1] == "the session has ended; 50 readings came out of it"


async def test_it_takes_its_status_away_so_that_nobody_calls_it_an_orphan(
    broker: ScriptedBroker, leave: Leave
) -> None:
    await leave.done()
    await eventually_async(lambda: broker.ended)

    *_, (kind, body, _at_s) = (one for one in broker.seen if one.kind & 0xF0 == PUBLISH)
    assert kind & 1  # retained
    assert body.endswith(b"status/denyut/ingest-1" + body[-3:-1] + b"\0")


async def test_it_does_not_take_a_link_that_says_nothing_for_an_empty_session(
    broker: ScriptedBroker, settings: IngestSettings, stored: Callable[[], list[Reading]]
) -> None:
    """Nothing came for long, for the link is slow: what the broker held would end with it."""
    broker.session_present = True
    broker.answers.discard(PINGREQ)
    leave = Leave(settings)
    await eventually_async(lambda: broker.kinds(PINGREQ))
    began_s = time.monotonic()
    await eventually_async(lambda: time.monotonic() - began_s > 0.4)  # several quiet times
    assert broker.kinds(DISCONNECT) == []

    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1) + packet(PINGRESP, b""))
    broker.answers.add(PINGREQ)

    await leave.done()
    assert [one.seq for one in stored()] == [1]
    assert len(broker.kinds(PUBACK)) == 1


async def test_it_does_not_end_a_session_while_a_release_may_let_more_come(
    broker: ScriptedBroker, settings: IngestSettings, stored: Callable[[], list[Reading]]
) -> None:
    """A PUBCOMP frees a place in the broker's window, and the next message comes behind it."""
    broker.session_present = True
    broker.answers.discard(PINGREQ)
    broker.greeting = publish(TOPIC, payload(1), qos=2, packet_id=1)
    leave = Leave(settings)
    await eventually_async(lambda: broker.kinds(PINGREQ))
    broker.send(packet(PUBREL, b"\0\1") + packet(PINGRESP, b""))
    await eventually_async(lambda: len(broker.kinds(PINGREQ)) == 2)
    assert broker.kinds(PUBCOMP, DISCONNECT) == broker.kinds(PUBCOMP)

    broker.send(publish(TOPIC, payload(2), qos=2, packet_id=2))
    await eventually_async(lambda: len(broker.kinds(PUBREC)) == 2)
    broker.send(packet(PUBREL, b"\0\2") + packet(PINGRESP, b""))
    broker.answers.add(PINGREQ)

    await leave.done()
    assert [one.seq for one in stored()] == [1, 2]


async def test_it_waits_for_a_store_that_is_silent(
    broker: ScriptedBroker, settings: IngestSettings, store_path: Path
) -> None:
    broker.session_present = True
    leave = Leave(settings)
    await eventually_async(store_path.exists)
    with locked(store_path):
        await eventually_async(lambda: len(broker.kinds(UNSUBSCRIBE)) == FILTERS)
        broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 0.5)
        assert broker.kinds(DISCONNECT) == []

    await leave.done()
    assert [one.kind for one in broker.kinds(PUBACK, DISCONNECT)] == [PUBACK, DISCONNECT]


async def test_a_link_that_breaks_meanwhile_is_made_again(
    broker: ScriptedBroker, leave: Leave, stored: Callable[[], list[Reading]]
) -> None:
    broker.greeting = publish(TOPIC, payload(1), qos=1, packet_id=1, dup=True)
    broker.cut()

    await leave.done()
    assert broker.connects == 2
    assert [one.seq for one in stored()] == [1]


async def test_a_session_that_has_ended_is_forgotten(
    leave: Leave, settings: IngestSettings
) -> None:
    await leave.done()

    assert not (Path(settings.data_dir) / "session.json").exists()
