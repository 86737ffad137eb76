"""`python -m broker serve`, as a container runs it, and its health check."""

import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import access, probe
from broker.certificates import Authority
from stack.local import HOST, LocalStack
from stack.ports import reserve_port
from stack.process import ROOMS, Process
from stack.waiting import holds_within
from telemetry.credentials import device_password
from tests.eventually import eventually

FLEET_KEY = "the fleet key"
PASSWORDS = {user: f"the word of {user}" for user in sorted(access.SERVICE_USERS)}
DEVICES = "press-{00000..00009}\n"
_ANSWER_SECONDS = 10.0


class Served(Process):
    """A broker that `serve` became, with files in a folder of its own."""

    def __init__(self, folder: Path, *, devices: str = DEVICES, **more: str) -> None:
        self.folder = folder
        self.authority = Authority.make("test authority")
        self._ports = [reserve_port(HOST), reserve_port(HOST)]
        self.port, self.health_port = (port.port for port in self._ports)
        self.settings = {**self._write(devices), **more}
        super().__init__(
            "served",
            [sys.executable, "-m", "broker", "serve"],
            environment={"PATH": os.environ["PATH"], **self.settings},
            log_path=folder / "log",
        )

    def _write(self, devices: str) -> dict[str, str]:
        for name in ("data", "secrets"):
            (self.folder / name).mkdir(parents=True)
        server = self.authority.issue_server([HOST])
        texts = {
            "DEVICES_FILE": devices,
            "FLEET_KEY_FILE": FLEET_KEY,
            **{f"{user.upper()}_PASSWORD_FILE": word for user, word in PASSWORDS.items()},
            "TLS_CERTIFICATE_FILE": server.certificate_pem,
            "TLS_KEY_FILE": server.key_pem,
            "TLS_CA_FILE": self.authority.certificate_pem,
        }
        for name, text in texts.items():
            (self.folder / "secrets" / name).write_text(text)
        told = {name: str(self.folder / "secrets" / name) for name in texts}
        told |= {"PORT": str(self.port), "HEALTH_PORT": str(self.health_port)}
        told |= {"DATA_DIR": str(self.folder / "data"), "RUNTIME_DIR": str(self.folder / "run")}
        return {f"BROKER_{name}": value for name, value in told.items()}

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.certificate_pem)

    def reason(self, user: str, password: str | None = None) -> int:
        """Return what the broker says over TLS to a user, by default with its right password."""
        word = password or PASSWORDS.get(user) or device_password(FLEET_KEY, user)
        return probe.connect_reason(
            HOST, self.port, user, word, tls=self.tls(), timeout_seconds=_ANSWER_SECONDS
        )

    def lacks(self) -> str | None:
        _, word = self.check_health()
        return None if word.startswith("mosquitto version") else word

    def check_health(self, **changed: str) -> tuple[int, str]:
        """Run the health check as the container's engine does; return exit code and output."""
        checked = subprocess.run(
            [sys.executable, "-E", "-S", "-m", "broker.healthcheck"],
            cwd=ROOMS,
            env={**self.settings, **changed},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10,
            check=False,
        )
        return checked.returncode, checked.stdout

    def let_devices_in(self) -> None:
        """Say that an ingest is online, and again, as one does that comes back when shut out."""
        eventually(lambda: self.reason(access.INGEST) == probe.ACCEPTED, what="services let in")
        with client(self, access.INGEST) as (ingest, _):

            def are_in() -> bool:
                ingest.publish("status/denyut/ingest-1", b'{"state":"online"}', qos=1)
                return holds_within(lambda: "devices are let in" in self.log_text(), 1.0)

            eventually(are_in, what="devices let in")

    def log_text(self) -> str:
        return self.log_path.read_text()

    def close(self) -> None:
        self.stop()
        for port in self._ports:
            port.release()


@contextmanager
def served(local: LocalStack, **more: str) -> Iterator[Served]:
    # Below the stack's folder, which another user can pass through: as root Mosquitto becomes one.
    broker = Served(local.folder / "served", **more)
    try:
        broker.start()
        yield broker
    finally:
        print(broker.log_tail())
        broker.close()


@pytest.fixture
def serving(local: LocalStack) -> Iterator[Served]:
    """A served broker with ten devices."""
    with served(local) as broker:
        broker.let_devices_in()
        yield broker


def test_it_lets_in_over_tls_whom_its_settings_name(serving: Served) -> None:
    for user in [*PASSWORDS, "press-00000", "press-00009"]:
        assert serving.reason(user) == probe.ACCEPTED
        assert serving.reason(user, "wrong") == probe.NOT_AUTHORIZED
    assert serving.reason("press-00010") == probe.NOT_AUTHORIZED


def test_it_asks_for_a_certificate_where_the_setting_says_so(local: LocalStack) -> None:
    with (
        served(local, BROKER_REQUIRE_CERTIFICATE="true") as broker,
        pytest.raises(probe.NoBroker),
    ):
        broker.reason("press-00000")


def test_its_only_plaintext_listener_is_on_loopback(serving: Served) -> None:
    assert listening(serving.pid) == {("0.0.0.0", serving.port), (HOST, serving.health_port)}
    with pytest.raises(probe.NoBroker):
        probe.connect_reason(HOST, serving.port, "ingest", PASSWORDS["ingest"])


def test_its_socket_file_is_for_its_group_and_asks_for_a_password(local: LocalStack) -> None:
    path = local.folder / "broker.socket"
    local.folder.chmod(0o777)  # for the user that Mosquitto becomes as root
    with served(local, BROKER_UNIX_SOCKET=str(path)) as broker:
        broker.let_devices_in()
        assert stat.S_IMODE(path.stat().st_mode) == 0o770
        right = device_password(FLEET_KEY, "press-00000")
        assert reason_at(path, "press-00000", right) == "Success"
        assert reason_at(path, "press-00000", "wrong") == "Not authorized"


def reason_at(path: Path, user: str, password: str) -> str:
    """Return what the broker says at its socket file."""
    said: list[str] = []
    asking = Client(
        CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, transport="unix"
    )
    asking.username_pw_set(user, password)
    asking.on_connect = lambda _client, _data, _flags, reason, _more: said.append(str(reason))
    asking.connect(str(path))
    eventually(lambda: asking.loop(0.1) or said, what="an answer")
    asking.disconnect()
    return said[0]


def test_ten_thousand_devices_are_served_within_seconds(local: LocalStack) -> None:
    with served(local, devices="press-{00000..09999}\n") as broker:
        broker.let_devices_in()
        eventually(lambda: broker.reason("press-09999") == probe.ACCEPTED)
        assert broker.reason("press-09999") == probe.ACCEPTED
        assert broker.usage().cpu_seconds < 5
        assert "broker: 10,000 devices" in broker.log_path.read_text()
        assert "max_connections 12000" in (broker.folder / "run/mosquitto.conf").read_text()


def test_no_secret_is_seen_in_its_arguments_its_environment_or_its_log(serving: Served) -> None:
    of_process = Path("/proc", str(serving.pid))
    seen = (of_process / "cmdline").read_text() + (of_process / "environ").read_text()
    seen += serving.log_path.read_text()

    assert not [word for word in [FLEET_KEY, *PASSWORDS.values()] if word in seen]
    assert "BROKER_" not in seen
    assert {path.stat().st_mode & 0o777 for path in (serving.folder / "run").iterdir()} == {0o600}


def test_sigterm_ends_it_with_its_state_saved(serving: Served) -> None:
    with client(serving, access.INGEST) as (ingest, _):
        ingest.subscribe("telemetry/#", qos=1)
        eventually(lambda: serving.reason("press-00000") == probe.ACCEPTED)
    with client(serving, "press-00000") as (device, _):
        device.publish("telemetry/site/press-00000/weather", b"kept", qos=1).wait_for_publish(5)
        serving.terminate()
        assert serving.wait(timeout_seconds=5) == 0

    serving.start()
    eventually(lambda: serving.reason(access.INGEST) == probe.ACCEPTED)

    with client(serving, access.INGEST) as (_, received):
        eventually(lambda: [message.payload for message in received] == [b"kept"])


def test_devices_wait_outside_until_an_ingest_has_subscribed(local: LocalStack) -> None:
    with served(local) as broker:
        eventually(lambda: broker.reason(access.INGEST) == probe.ACCEPTED)
        assert broker.reason(access.API) == probe.ACCEPTED
        assert broker.reason("press-00000") == probe.NOT_AUTHORIZED

        broker.let_devices_in()

        eventually(lambda: broker.reason("press-00000") == probe.ACCEPTED)


def test_devices_are_let_in_though_the_broker_has_shut_out_whoever_listens_for_it(
    local: LocalStack,
) -> None:
    with served(local) as broker:
        eventually(lambda: broker.reason(access.INGEST) == probe.ACCEPTED)
        (broker.folder / "run" / "passwords").write_text("")
        os.kill(broker.pid, signal.SIGHUP)
        eventually(lambda: "devices still wait" in broker.log_text())

        eventually(lambda: broker.reason(access.INGEST) == probe.ACCEPTED)
        broker.let_devices_in()

        eventually(lambda: broker.reason("press-00000") == probe.ACCEPTED)


def test_an_ingest_that_was_online_before_a_restart_lets_nobody_in_after_it(
    serving: Served,
) -> None:
    with client(serving, access.INGEST) as (ingest, _):
        ingest.publish("status/denyut/ingest-1", b'{"state":"online"}', 1, True).wait_for_publish(5)
    serving.terminate()
    assert serving.wait(timeout_seconds=5) == 0

    serving.start()

    eventually(lambda: serving.reason(access.INGEST) == probe.ACCEPTED)
    assert serving.reason("press-00000") == probe.NOT_AUTHORIZED


def test_the_health_check_is_content_with_a_broker_that_answers(serving: Served) -> None:
    code, output = serving.check_health()

    assert code == 0
    assert output.startswith("mosquitto version 2.")


def test_the_health_check_notices_a_broker_that_refuses_its_password(serving: Served) -> None:
    wrong = serving.settings["BROKER_API_PASSWORD_FILE"]

    code, output = serving.check_health(BROKER_HEALTH_PASSWORD_FILE=wrong)

    assert (code, output.count("\n")) == (1, 1)
    assert "refuses health with reason 0x87" in output


def test_the_health_check_notices_access_rules_that_are_gone(serving: Served) -> None:
    (serving.folder / "run/rules.acl").write_text("")
    os.kill(serving.pid, signal.SIGHUP)

    def unhealthy() -> bool:
        code, output = serving.check_health()
        return code == 1 and "timed out" in output

    eventually(unhealthy, what="the health check to fail")


def test_the_health_check_notices_a_broker_that_hangs(serving: Served) -> None:
    os.kill(serving.pid, signal.SIGSTOP)

    code, output = serving.check_health()

    assert (code, output.count("\n")) == (1, 1)
    assert "timed out" in output
    os.kill(serving.pid, signal.SIGCONT)


def test_the_health_check_notices_a_broker_that_is_gone(serving: Served) -> None:
    serving.kill()

    code, output = serving.check_health()

    assert (code, output.count("\n")) == (1, 1)
    assert "refused" in output


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_the_health_check_says_that_it_has_no_password(serving: Served, path: str) -> None:
    code, output = serving.check_health(BROKER_HEALTH_PASSWORD_FILE=path)

    assert (code, output.count("\n")) == (1, 1)
    assert "BROKER_HEALTH_PASSWORD_FILE cannot be read" in output


@contextmanager
def client(broker: Served, user: str) -> Iterator[tuple[Client, list[MQTTMessage]]]:
    """Connect a client with a durable session over TLS, and note what it receives."""
    received: list[MQTTMessage] = []
    connecting = Client(
        CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTProtocolVersion.MQTTv5
    )
    connecting.username_pw_set(user, PASSWORDS.get(user) or device_password(FLEET_KEY, user))
    connecting.tls_set_context(broker.tls())
    connecting.on_message = lambda _client, _data, message: received.append(message)
    lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    lasting.SessionExpiryInterval = 3600
    connecting.connect(HOST, broker.port, clean_start=False, properties=lasting)
    connecting.loop_start()
    eventually(connecting.is_connected)
    yield connecting, received
    connecting.disconnect()
    connecting.loop_stop()


def listening(pid: int) -> set[tuple[str, int]]:
    """Return the addresses on which a process listens, from /proc (IPv4, as in proc_net_tcp(5))."""
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in sockets:
            address, port = fields[1].split(":")
            numbers = bytes.fromhex(address)[::-1]
            found.add((".".join(map(str, numbers)), int(port, 16)))
    return found
