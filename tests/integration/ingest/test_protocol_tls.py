"""TLS: ingest reads from the broker that it trusts, under its name, or from nobody."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker import access
from broker.certificates import Authority, Issued
from ingest.service import IngestService
from stack.local import LocalStack
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from telemetry.settings import Secret, SettingError
from tests.certificates import server_context, write_authority, write_issued
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import StartIngest, locked
from tests.log_lines import Line
from tests.scripted_broker import CONNECT, PUBACK, ScriptedBroker, publish, scripted_broker

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "telemetry/jakarta/node-1/weather"
COUNT = 5_000  # more than is read in one piece
HOST = "127.0.0.1"
AUTHORITY = Authority.make("an authority")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[ScriptedBroker]:
    async with scripted_broker(
        server_context(tmp_path, AUTHORITY.issue_server([HOST]))
    ) as scripted:
        yield scripted


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    return str(write_authority(tmp_path, AUTHORITY))


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


async def test_readings_are_stored_and_acknowledged_over_tls(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    ca_file: str,
    stored: Callable[[], list[Reading]],
) -> None:
    await start_ingest(tls_ca_file=ca_file)
    for seq in range(500):
        broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=1 + seq))

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 500)
    assert {one.seq for one in stored()} == set(range(500))


async def test_while_the_store_is_silent_the_socket_is_not_read(
    broker: ScriptedBroker, start_ingest: StartIngest, ca_file: str, store_path: Path
) -> None:
    service = await start_ingest(
        tls_ca_file=ca_file,
        keepalive_seconds=2,
        held_readings=100,
        batch_readings=100,
        store_timeout_seconds=20,
    )
    await eventually_async(store_path.exists)
    with locked(store_path):
        for seq in range(COUNT):
            broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=1 + seq))
        await eventually_async(lambda: service.tally.in_flight >= 100)
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 4.5)
        assert sum(service.tally.received) < COUNT

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == COUNT)
    assert (service.tally.connects, service.tally.link_timeouts) == (1, 0)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (Authority.make("another").issue_server([HOST]), "unable to get local issuer certificate"),
        (AUTHORITY.issue_server([HOST], days=-1), "certificate has expired"),
        (AUTHORITY.issue_server(["elsewhere"]), "IP address mismatch"),
    ],
    ids=["another authority", "expired", "another name"],
)
async def test_a_broker_that_cannot_be_trusted_is_sent_nothing(
    start_ingest: StartIngest,
    ca_file: str,
    tmp_path: Path,
    logged: list[Line],
    shown: Issued,
    why: str,
) -> None:
    async with scripted_broker(server_context(tmp_path, shown)) as broker:
        service = await start_ingest(subscribed=False, broker_port=broker.port, tls_ca_file=ca_file)
        said = f"the broker's certificate is not trusted: {why}"
        await eventually_async(lambda: str(service.mqtt.problem).startswith(said))
        assert broker.seen == []
    assert logged
    assert not [line for line in logged if "exception" in line]


async def test_a_broker_without_tls_is_sent_no_word_in_plaintext(
    start_ingest: StartIngest, ca_file: str
) -> None:
    async with scripted_broker() as broker:
        service = await start_ingest(
            subscribed=False,
            broker_port=broker.port,
            tls_ca_file=ca_file,
            connect_timeout_seconds=0.3,
        )
        await eventually_async(lambda: service.mqtt.problem != "not connected yet")
        assert broker.kinds(CONNECT) == []
    assert service.tally.connects == 0


async def before_one_that_asks_for_a_certificate(
    local: LocalStack, start_ingest: StartIngest, own: tuple[Path, Path] | None
) -> IngestService:
    """Start an ingest before a Mosquitto that asks for a certificate, showing its own or none."""
    broker = local.start_broker(require_certificate=True)
    assert broker.client_tls is not None
    certificate, key = map(str, own) if own else ("", "")
    return await start_ingest(
        subscribed=False,
        broker_port=broker.port,
        password=Secret(broker.password(access.INGEST)),
        tls_ca_file=str(broker.client_tls.ca_file),
        tls_certificate_file=certificate,
        tls_key_file=key,
    )


async def test_its_own_certificate_is_shown(
    local: LocalStack, start_ingest: StartIngest, tmp_path: Path
) -> None:
    own = write_issued(tmp_path, local.authority.issue_client("ingest"))
    service = await before_one_that_asks_for_a_certificate(local, start_ingest, own)
    await eventually_async(lambda: service.tally.connects, what="a subscription")


async def test_a_broker_that_refuses_its_certificate_is_a_problem_in_one_line(
    local: LocalStack, start_ingest: StartIngest, logged: list[Line]
) -> None:
    service = await before_one_that_asks_for_a_certificate(local, start_ingest, None)
    # The alert may be lost with the connection, which is said instead.
    words = ("the broker refuses TLS with us: ", "the connection was lost before", "Connection")
    await eventually_async(lambda: str(service.mqtt.problem).startswith(words))
    assert logged
    assert not [line for line in logged if "exception" in line]
    assert service.tally.connects == 0


async def test_a_file_that_cannot_be_used_ends_it_before_a_socket_opens(
    start_ingest: StartIngest, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=r"INGEST_TLS_CA_FILE=.*: cannot be read"):
        await start_ingest(tls_ca_file=str(tmp_path / "gone.crt"))
