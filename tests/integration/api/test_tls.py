"""The API over TLS at a real Mosquitto, and before one that it cannot trust."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from api.broker_link import BrokerLink
from api.commands import Commands
from api.live.figures import LiveFigures
from api.settings import ApiSettings
from api.status_board import StatusBoard
from broker import access
from broker.certificates import Authority
from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.settings import Secret
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.certificates import restart_showing
from tests.eventually import eventually

HOST = "127.0.0.1"


def started(local: LocalStack) -> Service:
    open_store(StoreSettings(store_url=local.store_url)).write([])
    return local.start_api()


@contextmanager
def linked(broker: Broker, *, tls_ca_file: str = "") -> Iterator[StatusBoard]:
    """The API's link to the broker in this process; what it knows is on the board."""
    board = StatusBoard(10)
    settings = ApiSettings(
        store_url="sqlite:///unused",
        broker_host=broker.host,
        broker_port=broker.port,
        password=Secret(broker.password(access.API)),
        tls_ca_file=tls_ca_file,
    )
    commands = Commands(settings, lambda: board.connected, LiveFigures())
    link = BrokerLink(settings, board, commands, list)
    link.start()
    try:
        yield board
    finally:
        link.stop()


def broker_word(api: Service) -> str:
    """What /readyz says of the broker, empty where nothing is wrong."""
    lacks = api.lacks() or ""
    return lacks.partition("broker")[2]


def test_states_come_over_tls_with_a_certificate_of_its_own(local: LocalStack) -> None:
    local.start_broker(require_certificate=True)
    api = started(local)
    assert api.lacks() is None


@pytest.mark.parametrize(
    ("authority", "days", "why"),
    [
        (Authority.make("another"), 1, "unable to get local issuer certificate"),
        (None, -1, "certificate has expired"),
    ],
    ids=["another authority", "expired"],
)
def test_a_broker_that_cannot_be_trusted_is_named_until_it_is_mended(
    local: LocalStack,
    monkeypatch: pytest.MonkeyPatch,
    authority: Authority | None,
    days: int,
    why: str,
) -> None:
    broker = local.start_broker(tls=True)
    api = started(local)
    issuer = authority or local.authority
    restart_showing(broker, issuer.issue_server([HOST], days=days), monkeypatch)
    said = f"the broker's certificate is not trusted: {why}"
    eventually(lambda: said in broker_word(api), deadline_seconds=20, what=said)

    def levels() -> set[str]:
        lines = [msgspec.json.decode(line) for line in api.log_tail(200).splitlines()]
        return {line["level"] for line in lines if line.get("problem", "").startswith(said)}

    eventually(levels, what="a line in the log")
    assert levels() == {"error"}
    assert "Traceback" not in api.log_tail(200)

    restart_showing(broker, local.authority.issue_server([HOST]), monkeypatch)
    eventually(lambda: api.lacks() is None, deadline_seconds=60, what="the API's way back")


def test_a_broker_that_refuses_its_certificate_is_a_problem(local: LocalStack) -> None:
    broker = local.start_broker(require_certificate=True)
    assert broker.client_tls is not None
    with linked(broker, tls_ca_file=str(broker.client_tls.ca_file)) as board:
        # The alert may be lost with the connection: then another attempt says it.
        eventually(
            lambda: "the broker refuses TLS with us: " in str(board.check()), deadline_seconds=60
        )


def test_two_processes_with_one_client_id_do_not_throw_each_other_out(local: LocalStack) -> None:
    """As when an update starts the new one first."""
    broker = local.start_broker()
    with linked(broker) as first, linked(broker) as second:
        eventually(lambda: first.connected and second.connected, what="both connections")
        clients = re.findall(r"New client connected from \S+ as (api-1-\w+)", broker.log_tail())
        assert len(set(clients)) == 2
        assert "already connected" not in broker.log_tail()
