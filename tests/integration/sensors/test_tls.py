"""Row 27, the device's side: over TLS a device talks to the broker that it trusts, or to nobody."""

import asyncio
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.certificates import Authority, Issued
from sensors.fleetfile import QoS
from sensors.settings import SensorsSettings
from stack.broker import Broker, ClientTls
from stack.local import LocalStack
from telemetry.settings import Secret
from telemetry.tls import client_context
from tests.certificates import server_context, write_authority, write_issued
from tests.eventually import eventually_async
from tests.integration.sensors.answers import QOS_1_PUBLISH, published_id
from tests.integration.sensors.conftest import Listener, StartSender
from tests.scripted_broker import CONNECT, PUBACK, packet, scripted_broker

AUTHORITY = Authority.make("an authority")
HOST = "127.0.0.1"


@pytest.fixture
def broker(local: LocalStack) -> Broker:
    """A Mosquitto that speaks TLS alone."""
    return local.start_broker(tls=True)


def trusting(ca_file: Path, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return the context that sensors make of their settings."""
    certificate, key = map(str, own) if own else ("", "")
    settings = SensorsSettings.load(
        {},
        fleet_key=Secret("key"),
        tls_ca_file=str(ca_file),
        tls_certificate_file=certificate,
        tls_key_file=key,
    )
    context = client_context(settings)
    assert context is not None
    return context


def files(broker: Broker) -> ClientTls:
    assert broker.client_tls is not None
    return broker.client_tls


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_readings_go_to_a_trusted_broker_at_every_level(
    listen: Callable[..., Listener], start_sender: StartSender, broker: Broker, qos: QoS
) -> None:
    broker.admit(["a"])
    listener = listen("telemetry/#")
    sender = await start_sender(
        qos,
        port=broker.port,
        password=broker.password("a"),
        outbox_readings=200,
        tls=trusting(files(broker).ca_file),
    )
    await eventually_async(lambda: sender.uplink.connected, what="a connection")
    for number in range(200):
        sender.publish(payload=b"%d" % number)
    await eventually_async(lambda: len(listener.messages) == 200, what="all readings")
    assert [int(one) for one in listener.payloads(sender.topic)] == list(range(200))
    if qos:
        await eventually_async(lambda: len(sender.acknowledged) == 200, what="the answers")
    assert sender.counters.lost_connections == 0


async def test_answers_that_came_in_one_record_are_all_read_at_once(
    start_sender: StartSender, tmp_path: Path
) -> None:
    """Nothing else would come to say that more of them wait in OpenSSL."""
    at_server = server_context(tmp_path, AUTHORITY.issue_server([HOST]))
    tls = trusting(write_authority(tmp_path, AUTHORITY))
    async with scripted_broker(at_server) as broker:
        sender = await start_sender(1, port=broker.port, tls=tls, keepalive_seconds=600)
        sent = [sender.publish() for _ in range(20)]
        await eventually_async(lambda: len(broker.kinds(QOS_1_PUBLISH)) == 20, what="20 readings")
        answers = [
            packet(PUBACK, struct.pack("!H", published_id(one)))
            for one in broker.kinds(QOS_1_PUBLISH)
        ]
        broker.send(b"".join(answers))
        await eventually_async(lambda: sender.acknowledged == sent, what="20 acknowledgements")


@pytest.mark.parametrize(
    "shown",
    [
        Authority.make("another").issue_server([HOST]),
        AUTHORITY.issue_server([HOST], days=-1),
        AUTHORITY.issue_server(["elsewhere"]),
    ],
    ids=["another authority", "expired", "another name"],
)
async def test_a_broker_that_cannot_be_trusted_is_sent_nothing_and_tried_again(
    start_sender: StartSender, tmp_path: Path, shown: Issued
) -> None:
    tls = trusting(write_authority(tmp_path, AUTHORITY))
    async with scripted_broker(server_context(tmp_path, shown)) as broker:
        sender = await start_sender(1, port=broker.port, tls=tls)
        sender.publish()
        await eventually_async(
            lambda: sender.counters.connect_failures["untrusted"] >= 2, what="two refusals"
        )
        assert broker.seen == []
    assert (
        sum(sender.counters.connect_failures.values())
        == (sender.counters.connect_failures["untrusted"])
    )
    assert (sender.uplink.unfinished, sender.counters.published) == (1, [0, 0, 0])


async def test_a_broker_without_tls_is_sent_no_word_in_plaintext(
    start_sender: StartSender, tmp_path: Path
) -> None:
    tls = trusting(write_authority(tmp_path, AUTHORITY))
    async with scripted_broker() as broker:
        sender = await start_sender(1, port=broker.port, tls=tls, timeout_seconds=0.3)
        sender.publish()
        await eventually_async(
            lambda: sum(sender.counters.connect_failures.values()) >= 2, what="two failures"
        )
        assert broker.kinds(CONNECT) == []
    assert sender.counters.connects == 0


async def test_a_handshake_that_gets_no_answer_ends_in_time(
    start_sender: StartSender, tmp_path: Path
) -> None:
    async def be_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    silence = asyncio.Event()
    server = await asyncio.start_server(be_silent, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    tls = trusting(write_authority(tmp_path, AUTHORITY))
    sender = await start_sender(1, port=port, tls=tls, timeout_seconds=0.2)
    await eventually_async(lambda: sender.counters.connect_failures["timeout"] >= 2)
    silence.set()
    server.close()


async def test_a_broker_that_asks_for_a_certificate_is_shown_ones_own(
    local: LocalStack, start_sender: StartSender
) -> None:
    broker = local.start_broker(require_certificate=True)
    broker.admit(["a"])
    told = files(broker)
    assert told.certificate_file is not None
    assert told.key_file is not None
    tls = trusting(told.ca_file, (told.certificate_file, told.key_file))
    sender = await start_sender(1, port=broker.port, password=broker.password("a"), tls=tls)
    await eventually_async(lambda: sender.uplink.connected, what="a connection")


@pytest.mark.parametrize("days", [None, -1], ids=["without one", "expired"])
async def test_a_certificate_that_the_broker_does_not_take_is_a_failure_each_time(
    local: LocalStack, start_sender: StartSender, tmp_path: Path, days: int | None
) -> None:
    broker = local.start_broker(require_certificate=True)
    broker.admit(["a"])
    own = None
    if days is not None:
        own = write_issued(tmp_path, local.authority.issue_client("a", days=days))
    tls = trusting(files(broker).ca_file, own)
    sender = await start_sender(1, port=broker.port, password=broker.password("a"), tls=tls)
    # The alert may be lost with the connection, which is unreachable then.
    await eventually_async(
        lambda: sum(sender.counters.connect_failures.values()) >= 2, what="two failures"
    )
    assert sender.counters.connects == 0
    assert sender.counters.connect_failures["untrusted"] == 0
