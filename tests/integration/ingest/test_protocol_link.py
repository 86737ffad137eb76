"""The link: noticing that it is dead, keeping it alive, and coming back at a measured pace.

Statement numbers are those of MQTT 5.0 (OASIS Standard).
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from telemetry.settings import Secret
from tests.eventually import STALL_SECONDS, eventually_async, passing
from tests.integration.ingest.conftest import StartIngest, locked
from tests.log_lines import Line
from tests.scripted_broker import (
    CONNECT,
    PINGREQ,
    PUBACK,
    SERVER_KEEP_ALIVE,
    SUBSCRIBE,
    ScriptedBroker,
    number_property,
    publish,
)

NOW_MS = time.time_ns() // 1_000_000
COUNT = 5_000  # more than is read in one piece
TOPIC = "telemetry/jakarta/node-1/weather"


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


async def test_a_silent_link_is_given_up_after_1_5_keepalives(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest(keepalive_seconds=2)
    broker.answers.discard(PINGREQ)
    began_s = time.monotonic()

    await eventually_async(lambda: service.tally.connects == 2)

    assert 2.5 <= time.monotonic() - began_s <= 3.0 + STALL_SECONDS
    assert service.tally.link_timeouts == 1
    assert broker.kinds(PINGREQ) != []


async def test_a_quiet_link_is_kept_by_pings_and_not_given_up(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-3.1.2-20]."""
    service = await start_ingest(keepalive_seconds=2)
    began_s = time.monotonic()

    stood_still_s = await passing(4.5)

    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)
    times_s = [began_s, *(one.at_s for one in broker.kinds(PINGREQ)), time.monotonic()]
    longest_s = max(later - earlier for earlier, later in itertools.pairwise(times_s))
    assert longest_s <= 3 + stood_still_s


async def test_while_the_gate_is_closed_pings_leave_and_silence_is_no_failure(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    """[MQTT-3.1.2-20]: the broker, too, must not think us dead."""
    service = await start_ingest(
        keepalive_seconds=2, held_readings=100, batch_readings=100, store_timeout_seconds=20
    )
    await eventually_async(store_path.exists)
    with locked(store_path):
        for seq in range(COUNT):
            broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=1 + seq))
        await eventually_async(lambda: service.tally.in_flight >= 100)
        began_s = time.monotonic()
        stood_still_s = await passing(4.5)
        assert sum(service.tally.received) < COUNT
        times_s = [began_s, *(one.at_s for one in broker.kinds(PINGREQ)), time.monotonic()]

    longest_s = max(later - earlier for earlier, later in itertools.pairwise(times_s))
    assert longest_s <= 3 + stood_still_s
    await eventually_async(lambda: len(broker.kinds(PUBACK)) == COUNT)
    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)


async def test_the_servers_keepalive_is_used_instead_of_ours(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-3.2.2-21]."""
    broker.connack_properties = number_property(SERVER_KEEP_ALIVE, 2)
    service = await start_ingest(keepalive_seconds=600)
    began_s = time.monotonic()

    await eventually_async(lambda: broker.kinds(PINGREQ), deadline_seconds=2 + STALL_SECONDS)
    broker.answers.discard(PINGREQ)
    await eventually_async(lambda: service.tally.link_timeouts == 1)

    assert time.monotonic() - began_s <= 7 + STALL_SECONDS


async def test_a_server_keepalive_of_0_leaves_the_watch_as_it_was_set(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """The server needs no pings then; we go on asking whether it is there."""
    broker.connack_properties = number_property(SERVER_KEEP_ALIVE, 0)
    service = await start_ingest(keepalive_seconds=2)
    began_s = time.monotonic()

    await eventually_async(lambda: time.monotonic() - began_s > 3.5)

    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)
    assert 2 <= len(broker.kinds(PINGREQ)) <= 10


async def test_a_link_is_not_given_up_because_the_process_itself_stood_still(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """What came meanwhile has not been read yet."""
    service = await start_ingest(keepalive_seconds=2)

    time.sleep(3.5)  # noqa: ASYNC251 - this is the fault itself
    pings = len(broker.kinds(PINGREQ))
    await eventually_async(lambda: len(broker.kinds(PINGREQ)) >= pings + 2)

    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)


async def test_bytes_that_come_one_by_one_are_put_together(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    await start_ingest()
    data = b"".join(publish(TOPIC, payload(seq), qos=1, packet_id=seq) for seq in (1, 2, 3))
    await broker.send_sliced(data)

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 3)
    assert [one.seq for one in stored()] == [1, 2, 3]


async def test_a_message_that_comes_slower_than_the_keepalive_is_a_sign_of_life(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest(keepalive_seconds=2)
    broker.answers.discard(PINGREQ)
    data = publish(TOPIC, payload(1), qos=1, packet_id=1)
    await broker.send_sliced(data, pause_seconds=4.5 / len(data))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)


@pytest.mark.parametrize("silent_on", [CONNECT, SUBSCRIBE])
async def test_a_broker_that_does_not_answer_is_given_up_after_the_time_out(
    broker: ScriptedBroker, start_ingest: StartIngest, silent_on: int
) -> None:
    broker.answers.discard(silent_on)
    service = await start_ingest(subscribed=False, connect_timeout_seconds=0.5)
    await eventually_async(lambda: len(broker.kinds(CONNECT)) >= 2)
    assert str(service.mqtt.problem) == "the broker did not answer in time"

    broker.answers.add(silent_on)

    await eventually_async(lambda: service.tally.connects == 1)
    assert service.mqtt.problem is None
    first, second = broker.kinds(CONNECT)[:2]
    assert 0.5 <= second.at_s - first.at_s <= 1 + STALL_SECONDS


@pytest.mark.parametrize("lost_on", [CONNECT, SUBSCRIBE])
async def test_a_connection_lost_before_the_broker_has_answered_is_tried_again_at_once(
    broker: ScriptedBroker, start_ingest: StartIngest, lost_on: int
) -> None:
    broker.answers.discard(lost_on)
    service = await start_ingest(subscribed=False, connect_timeout_seconds=60)
    await eventually_async(lambda: broker.kinds(lost_on))
    broker.answers.add(lost_on)
    broker.cut()

    await eventually_async(lambda: service.tally.connects == 1, deadline_seconds=3 + STALL_SECONDS)


async def test_a_full_memory_during_the_handshake_is_not_the_brokers_fault(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    """What the session holds comes before the SUBACK; given up, it would come again for ever."""
    service = await start_ingest(
        connect_timeout_seconds=0.5,
        held_readings=100,
        batch_readings=100,
        store_timeout_seconds=20,
    )
    connects = broker.connects
    broker.session_present = True
    broker.greeting = b"".join(
        publish(TOPIC, payload(seq), qos=1, packet_id=1 + seq) for seq in range(1000)
    )
    await eventually_async(store_path.exists)
    with locked(store_path):
        broker.cut()
        await eventually_async(lambda: service.tally.in_flight >= 100)
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 1.5)

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 1000)
    assert broker.connects == connects + 1
    await eventually_async(lambda: service.tally.connects == 2)


async def test_reconnects_are_jittered_longer_each_time_and_capped(
    broker: ScriptedBroker, start_ingest: StartIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sources.mqtt.source._FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("ingest.sources.mqtt.source._LONGEST_PAUSE_SECONDS", 0.4)
    broker.connack = 0x88  # server unavailable
    await start_ingest(subscribed=False)

    await eventually_async(lambda: len(broker.kinds(CONNECT)) >= 9)

    times_s = [one.at_s for one in broker.kinds(CONNECT)]
    pauses_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    for number, pause_s in enumerate(pauses_s):
        longest_s = min(0.05 * 2**number, 0.4)
        assert longest_s / 2 <= pause_s <= longest_s + STALL_SECONDS
    assert len({round(pause_s, 3) for pause_s in pauses_s[3:]}) > 1


async def test_a_refused_connection_is_said_with_its_reason(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """Also a refusal that gmqtt holds for final: credentials may be mended meanwhile."""
    broker.connack = 0x87
    service = await start_ingest(subscribed=False)
    await eventually_async(lambda: "Not authorized" in str(service.mqtt.problem))

    broker.connack = 0

    await eventually_async(lambda: service.tally.connects == 1)


async def test_a_disconnect_of_the_broker_ends_the_connection_also_where_it_stays_open(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest()
    broker.disconnect(0x8B)  # server shutting down

    await eventually_async(lambda: service.tally.connects == 2)
    await eventually_async(lambda: broker.ended == 1, what="the end of the old connection")


async def test_two_with_one_client_id_say_so_and_do_not_throw_each_other_out_without_a_pause(
    broker: ScriptedBroker, start_ingest: StartIngest, logged: list[Line]
) -> None:
    service = await start_ingest()
    began_s = time.monotonic()
    for times in range(1, 6):
        await eventually_async(lambda times=times: service.tally.connects == times)  # type: ignore[misc]
        broker.disconnect(0x8E)
        await eventually_async(lambda times=times: service.tally.session_takeovers == times)  # type: ignore[misc]
        assert service.mqtt.problem == "another client uses the client id ingest-1"
        broker.cut()

    # 0.1 + 0.2 + 0.4 + 0.8 s at the least.
    assert time.monotonic() - began_s >= 1.5
    assert any("another client uses our client id" in line["event"] for line in logged)


async def test_a_secret_that_cannot_be_read_for_a_moment_ends_nothing(
    broker: ScriptedBroker, start_ingest: StartIngest, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush")
    service = await start_ingest(password=Secret("hush", str(secret)))
    secret.unlink()
    broker.cut()
    await eventually_async(lambda: str(secret) in str(service.mqtt.problem))

    secret.write_text("changed")

    await eventually_async(lambda: service.tally.connects == 2)
    assert broker.kinds(CONNECT)[-1].body.endswith(b"changed")
