"""Row 27 at a real Mosquitto: whom a TLS listener lets in, and what it refuses."""

import ssl
from pathlib import Path

import pytest

from broker import probe
from broker.certificates import Authority, Issued
from stack.broker import Broker
from stack.local import LocalStack
from tests.eventually import eventually
from tests.integration.broker.people import NOT_AUTHORIZED, SUCCESS, Room


@pytest.fixture
def secure(local: LocalStack) -> Broker:
    """A broker that speaks TLS and lets device a in."""
    broker = local.start_broker(tls=True)
    broker.admit(["a"])
    return broker


@pytest.fixture
def mutual(local: LocalStack) -> Broker:
    """A broker that lets device a in where it shows a certificate."""
    broker = local.start_broker(require_certificate=True)
    broker.admit(["a"])
    return broker


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.certificate_pem)


def showing(folder: Path, authority: Authority, own: Issued) -> ssl.SSLContext:
    chain = folder / "client.pem"
    chain.write_text(own.certificate_pem + own.key_pem)
    context = trusting(authority)
    context.load_cert_chain(chain)
    return context


def reason(
    broker: Broker, tls: ssl.SSLContext | None, user: str | None = "a", password: str | None = None
) -> int:
    """Return what the broker says to the device a, by default with its right password."""
    word = broker.password("a") if password is None and user else password
    return probe.connect_reason(broker.host, broker.port, user, word, tls=tls, timeout_seconds=10.0)


def assert_refused(broker: Broker, tls: ssl.SSLContext, because: str) -> None:
    """Connect in vain; the alert may be lost with the connection, so the broker's log says why."""
    with pytest.raises(probe.NoBroker):
        reason(broker, tls)
    eventually(lambda: because in broker.log_tail(), what=f"{because!r} in the log")


def test_a_device_is_let_in_over_tls(local: LocalStack, secure: Broker) -> None:
    assert reason(secure, trusting(local.authority)) == probe.ACCEPTED


def test_a_device_publishes_over_tls_under_its_own_name_alone(secure: Broker) -> None:
    room = Room(secure)
    api, device = room.enter("api"), room.enter("a")
    api.subscribe("telemetry/#")

    assert device.publish("telemetry/site/b/weather") == NOT_AUTHORIZED
    assert device.publish("telemetry/site/a/weather") == SUCCESS

    eventually(lambda: api.topics() == ["telemetry/site/a/weather"])
    room.close()


def test_tls_alone_lets_nobody_in(local: LocalStack, secure: Broker) -> None:
    tls = trusting(local.authority)

    assert reason(secure, tls, user=None) == probe.NOT_AUTHORIZED
    assert reason(secure, tls, password="wrong") == probe.NOT_AUTHORIZED


def test_the_tls_port_takes_no_plaintext(secure: Broker) -> None:
    with pytest.raises(probe.NoBroker):
        reason(secure, tls=None)


def test_a_device_does_not_talk_to_a_broker_of_another_authority(secure: Broker) -> None:
    with pytest.raises(probe.NoBroker, match="CERTIFICATE_VERIFY_FAILED"):
        reason(secure, trusting(Authority.make("another authority")))


def test_a_client_with_a_certificate_of_the_authority_is_let_in(
    local: LocalStack, mutual: Broker, tmp_path: Path
) -> None:
    own = local.authority.issue_client("a")

    assert reason(mutual, showing(tmp_path, local.authority, own)) == probe.ACCEPTED


def test_a_certificate_does_not_stand_in_for_the_password(
    local: LocalStack, mutual: Broker, tmp_path: Path
) -> None:
    tls = showing(tmp_path, local.authority, local.authority.issue_client("a"))

    assert reason(mutual, tls, user=None) == probe.NOT_AUTHORIZED
    assert reason(mutual, tls, password="wrong") == probe.NOT_AUTHORIZED


def test_a_client_without_a_certificate_is_refused(local: LocalStack, mutual: Broker) -> None:
    assert_refused(mutual, trusting(local.authority), "peer did not return a certificate")


def test_a_client_with_another_authoritys_certificate_is_refused(
    local: LocalStack, mutual: Broker, tmp_path: Path
) -> None:
    own = Authority.make("another authority").issue_client("a")

    assert_refused(mutual, showing(tmp_path, local.authority, own), "certificate verify failed")


def test_a_client_with_an_expired_certificate_is_refused(
    local: LocalStack, mutual: Broker, tmp_path: Path
) -> None:
    own = local.authority.issue_client("a", days=-1)

    assert_refused(mutual, showing(tmp_path, local.authority, own), "certificate verify failed")


def test_a_servers_certificate_is_no_clients(
    local: LocalStack, mutual: Broker, tmp_path: Path
) -> None:
    own = local.authority.issue_server(["a"])

    assert_refused(mutual, showing(tmp_path, local.authority, own), "certificate verify failed")
