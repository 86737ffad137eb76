"""A real Mosquitto with our configuration, access rules and credentials."""

import os
import signal
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from broker import access, probe, program
from broker.certificates import Authority, Issued
from broker.configuration import (
    BrokerConfiguration,
    BrokerLimits,
    Listener,
    ListenerTls,
    SocketFile,
)
from broker.passwords import password_line
from stack import StackError
from stack.process import Process
from stack.waiting import holds_within
from stack.workspace import Workspace
from telemetry.credentials import device_password
from telemetry.private_files import write_private

_ADMITTED_WITHIN_SECONDS = 10.0


class MosquittoMissing(StackError):
    """Raised when no Mosquitto is installed."""


class BrokerTls(Struct, frozen=True):
    """Who signs a broker's certificate, and whether its clients have to show one as well."""

    authority: Authority
    require_certificate: bool = False


class ClientTls(Struct, frozen=True):
    """The files with which a client connects: whom it trusts and, where asked for, its own."""

    ca_file: Path
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a client of Python's own takes."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context


class Broker(Process):
    """A Mosquitto of one stack; it keeps its port and its state over `kill`, `start`, `restart`.

    A device's password comes from the fleet key (telemetry.credentials); the services' are random.
    With `tls` its port speaks TLS, and `client_tls` is what its clients need. At `socket_path` it
    listens as well, where that is asked for. `more_rules`
    are access rules beside our own, as for a load generator that stands for many devices.
    """

    def __init__(
        self,
        name: str,
        workspace: Workspace,
        *,
        host: str,
        port: int,
        fleet_key: str,
        service_passwords: Mapping[str, str],
        limits: BrokerLimits,
        tls: BrokerTls | None = None,
        with_socket: bool = False,
        more_rules: str = "",
        environment: Mapping[str, str],
        log_path: Path,
    ) -> None:
        # As root Mosquitto drops its rights by itself, but then outlives us (see stack/leash.py).
        user = program.mosquitto_user()
        folder = workspace.subfolder(name, owner=user)
        super().__init__(
            name,
            [str(find_mosquitto()), "-c", str(folder / "mosquitto.conf")],
            environment=environment,
            log_path=log_path,
            user=user,
        )
        self.host = host
        self.port = port
        self._folder = folder
        self.client_tls = None if tls is None else self._write_client_tls(tls)
        self.socket_path = folder / "broker.socket" if with_socket else None
        self.configuration = BrokerConfiguration(
            listeners=(
                Listener(host, port, None if tls is None else self._write_tls(tls)),
                *([SocketFile(self.socket_path)] if self.socket_path else ()),
            ),
            password_file=folder / "passwords",
            acl_file=folder / "rules.acl",
            persistence_folder=folder,
            limits=limits,
        )
        self._fleet_key = fleet_key
        self._service_passwords = dict(service_passwords)
        # Made once a user: hashing takes 0.1 ms, and a reload throws out whose line has changed.
        self._lines = {user: password_line(user, word) for user, word in service_passwords.items()}
        write_private(folder / "mosquitto.conf", self.configuration.text(), owner=user)
        write_private(folder / "rules.acl", access.access_rules() + more_rules, owner=user)
        self._write_passwords()

    def password(self, user: str) -> str:
        """Return the password of a service's user or of a device."""
        return self._service_passwords.get(user) or device_password(self._fleet_key, user)

    def admit(self, devices: Iterable[str]) -> None:
        """Let these devices in as well, at once where the broker runs; others stay connected."""
        new = [device for device in dict.fromkeys(devices) if device not in self._lines]
        if not new:
            return
        self._lines |= {device: password_line(device, self.password(device)) for device in new}
        self._write_passwords()
        if self.is_running:
            os.kill(self.pid, signal.SIGHUP)
            if not holds_within(lambda: self.takes(new[-1]), _ADMITTED_WITHIN_SECONDS):
                raise self.failure(f"does not let {new[-1]} in")

    def takes(self, user: str) -> bool:
        """Return whether the broker accepts a connection of this user now."""
        return self._lacks_for(user) is None

    def lacks(self) -> str | None:
        """Return None when the broker accepts ingest's connection, else what it answers."""
        return self._lacks_for(access.INGEST)

    def _lacks_for(self, user: str) -> str | None:
        tls = None if self.client_tls is None else self.client_tls.context()
        try:
            reason = probe.connect_reason(self.host, self.port, user, self.password(user), tls=tls)
        except probe.NoBroker as error:
            return str(error)
        return None if reason == probe.ACCEPTED else f"refuses {user} with reason {reason:#x}"

    def _write_tls(self, tls: BrokerTls) -> ListenerTls:
        certificate_file, key_file = self._write_issued(
            "server", tls.authority.issue_server([self.host, "localhost"])
        )
        return ListenerTls(
            certificate_file=certificate_file,
            key_file=key_file,
            ca_file=self._folder / "ca.crt",
            require_certificate=tls.require_certificate,
        )

    def _write_client_tls(self, tls: BrokerTls) -> ClientTls:
        ca_file = self._folder / "ca.crt"
        write_private(ca_file, tls.authority.certificate_pem, owner=self.user)
        if not tls.require_certificate:
            return ClientTls(ca_file)
        return ClientTls(ca_file, *self._write_issued("client", tls.authority.issue_client("part")))

    def _write_issued(self, name: str, issued: Issued) -> tuple[Path, Path]:
        certificate_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        write_private(certificate_file, issued.certificate_pem, owner=self.user)
        write_private(key_file, issued.key_pem, owner=self.user)
        return certificate_file, key_file

    def _write_passwords(self) -> None:
        text = "".join(self._lines.values())
        write_private(self.configuration.password_file, text, owner=self.user)


def find_mosquitto() -> Path:
    """Return the path of Mosquitto; MosquittoMissing where there is none."""
    found = program.find_mosquitto()
    if found is None:
        raise MosquittoMissing(program.MISSING)
    return found
