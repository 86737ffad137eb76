"""The real parts on one machine: a broker, ingest, the API and a fleet, started and stopped.

with LocalStack() as local:
    local.start_broker()
    ingest = local.start_ingest()
    api = local.start_api()
    fleet = local.start_fleet("demo", devices=100, duration_seconds=30)
    fleet.wait(timeout_seconds=60)
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

import msgspec

from broker import access
from broker.certificates import Authority
from broker.configuration import BrokerLimits
from stack import StackError
from stack.broker import Broker, BrokerTls
from stack.influxdb import Influxd, set_up
from stack.ports import PortReservation, reserve_port
from stack.postgresql import Postgresql, postgresql_user
from stack.process import GRACE_SECONDS, READY_SECONDS, ROOMS, Process
from stack.services import Fleet, Place, Service
from stack.ways import Way, Ways
from stack.workspace import Workspace
from telemetry.store import Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings

HOST = "127.0.0.1"
_SECRET_BYTES = 32
_NAMES_WITHIN_SECONDS = 60
_NO_SETTINGS: Mapping[str, str] = {}
# All else of our environment stays here: a setting or a secret of the caller's is not the stack's.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")

AnyProcess = TypeVar("AnyProcess", bound=Process)


class StackStoreSettings(StoreSettings, frozen=True, kw_only=True):
    """How the stack itself finds its store, as for an audit."""

    prefix: ClassVar[str] = "STACK"


class LocalStack:
    """Owns a working folder, the secrets of one run, and the processes that it starts.

    Leaving it, by whatever way, stops the processes in reverse order and removes the folder.
    Should this process be killed, the kernel ends them (stack/leash.py), and the next stack removes
    the folder. `store_url` and `logs` put the store and the log files elsewhere, to be kept.
    Every start method waits until the part is ready; its `settings` are environment variables
    that win over those worked out here.
    """

    def __init__(
        self,
        *,
        store_url: str | None = None,
        logs: Path | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._grace_seconds = grace_seconds
        self._ports: list[PortReservation] = []
        self._processes: list[Process] = []
        self._brokers: list[Broker] = []
        self._workspace = Workspace()
        self.logs = logs or self._workspace.logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self.store_url = store_url or f"sqlite:///{self._folder('store')}/denyut.sqlite"
        self._tokens: Path | None = None
        self.ledger_folder = self._folder("ledger")
        self.fleet_key = secrets.token_urlsafe(_SECRET_BYTES)
        self._passwords = {
            user: secrets.token_urlsafe(_SECRET_BYTES) for user in sorted(access.SERVICE_USERS)
        }
        self._secret_files = {
            name: self._workspace.secret(name, text)
            for name, text in {"fleet-key": self.fleet_key, **self._passwords}.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The working folder, removed at the end."""
        return self._workspace.folder

    @property
    def processes(self) -> tuple[Process, ...]:
        """The processes in the order in which they were started."""
        return tuple(self._processes)

    @cached_property
    def authority(self) -> Authority:
        """Who signs the certificates of this stack's brokers and of their clients."""
        return Authority.make("a local stack")

    @cached_property
    def ways(self) -> Ways:
        """The ways other than MQTT, by name, with their addresses in this stack."""
        return Ways(
            HOST,
            self._workspace,
            lambda: self.authority,
            self._port,
            self.start_postgresql,
            self._environment({}, {}),
        )

    def close(self) -> None:
        """Stop everything in reverse order; a further Ctrl-C meanwhile ends the grace."""
        grace_seconds = self._grace_seconds
        while self._processes:
            try:
                self._processes[-1].stop(grace_seconds)
                self._processes.pop()
            except KeyboardInterrupt:
                grace_seconds = 0.0
        while self._ports:
            self._ports.pop().release()
        self._workspace.close()

    def start_influxdb(self, folder: Path | None = None) -> Influxd:
        """Start an InfluxDB, set it up, and let it be the store; with a folder its data is kept."""
        kept = folder or self._folder("influxdb")
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = self.start(
            Influxd(
                kept,
                HOST,
                self._port(),
                environment=self._environment({}, {}),
                log_path=self._log_path("influxdb"),
            )
        )
        self._tokens = kept / "tokens"
        set_up(server.url, kept, self._tokens)
        self.store_url = server.url
        return server

    def start_postgresql(self) -> Postgresql:
        """Start a PostgreSQL without databases of ours; `create_database` makes one."""
        folder = self._workspace.subfolder("postgresql", owner=postgresql_user())
        return self.start(
            Postgresql(
                folder,
                HOST,
                self._port(),
                admin_password=secrets.token_urlsafe(_SECRET_BYTES),
                environment=self._environment({}, {}),
                log_path=self._log_path("postgresql"),
            )
        )

    def open_store(self, *, read_only: bool = True) -> Store:
        """Return the stack's store, as the API or as ingest has it."""
        told = self._store("api" if read_only else "ingest")
        variables = {f"STACK_{name}": value for name, value in told.items()}
        return open_store(StackStoreSettings.load(variables), read_only=read_only)

    def start_broker(
        self,
        name: str = "broker",
        *,
        limits: BrokerLimits = BrokerLimits(),  # noqa: B008
        tls: bool = False,
        require_certificate: bool = False,
        with_socket: bool = False,
        more_rules: str = "",
    ) -> Broker:
        """Start a Mosquitto; the other parts talk to the first one unless told otherwise.

        With `tls` it listens for TLS alone, and the parts are told its authority's file. With
        `require_certificate` they are given a certificate as well, and nobody gets in without one.
        With `with_socket` it listens at `socket_path` as well. `more_rules` are access rules beside
        our own.
        """
        broker = Broker(
            name,
            self._workspace,
            host=HOST,
            port=self._port(),
            fleet_key=self.fleet_key,
            service_passwords=self._passwords,
            limits=limits,
            tls=BrokerTls(self.authority, require_certificate)
            if tls or require_certificate
            else None,
            with_socket=with_socket,
            more_rules=more_rules,
            environment=self._environment({}, {}),
            log_path=self._log_path(name),
        )
        self._brokers.append(broker)
        return self.start(broker)

    def start_ingest(
        self,
        client_id: str = "ingest-1",
        *,
        broker: Broker | None = None,
        ways: Iterable[Way] = (),
        settings: Mapping[str, str] = _NO_SETTINGS,
        module: str = "ingest",
        ready_seconds: float = READY_SECONDS,
    ) -> Service:
        """Start an ingest service; several need client ids of their own.

        Where there is no broker it takes readings by the given `ways` alone. `module` is what runs,
        so that a self-test can start one that breaks its promise.
        """
        told = {
            **self._store("ingest"),
            "DATA_DIR": str(self._folder(client_id)),
            "CLIENT_ID": client_id,
        }
        if broker or self._brokers:
            told |= self._mqtt(access.INGEST, client_id, broker)
        else:
            told["MQTT"] = "false"
        for way in ways:
            told |= way.ingest
        service = Service([module], self._place("INGEST", client_id, told, settings))
        return self.start(service, ready_seconds)

    def start_api(
        self,
        client_id: str = "api-1",
        *,
        broker: Broker | None = None,
        port: int | None = None,
        settings: Mapping[str, str] = _NO_SETTINGS,
        ready_seconds: float = READY_SECONDS,
    ) -> Service:
        """Start the API, on a free port unless one is given."""
        told = {**self._store("api"), **self._mqtt(access.API, client_id, broker)}
        # Nothing stands in front that would have to be told first.
        told["DRAIN_SECONDS"] = "0"
        service = Service(["api"], self._place("API", client_id, told, settings, port))
        return self.start(service, ready_seconds)

    def start_fleet(
        self,
        fleet: str | Path,
        *,
        devices: int,
        qos: str = "mixed",
        duration_seconds: float | None = None,
        client_id: str = "sensors-1",
        broker: Broker | None = None,
        way: Way | None = None,
        settings: Mapping[str, str] = _NO_SETTINGS,
    ) -> Fleet:
        """Let a fleet's devices into the broker and start them; without a duration until stopped.

        `fleet` is a path, or the name of a fleet that comes with the sensors. By another `way` it
        needs no broker.
        """
        report = self._folder("reports") / f"{client_id}.json"
        arguments = [*_fleet_arguments("run", fleet, devices), "--qos", qos]
        arguments += ["--report", str(report)]
        if duration_seconds is not None:
            arguments += ["--duration", str(duration_seconds)]
        told = {"CLIENT_ID": client_id, "LEDGER_DIR": str(self.ledger_folder)}
        if way is None:
            broker = broker or self._first_broker()
            # The process publishes its own figures as a device of its client id's name.
            broker.admit([*self.device_names(fleet, devices), client_id])
            told |= _address(broker)
            told["FLEET_KEY_FILE"] = str(self._secret_files["fleet-key"])
        else:
            told |= {"VIA": way.name, **way.sensors}
        place = self._place("SENSORS", client_id, told, settings)
        return self.start(Fleet(arguments, place, report))

    def device_names(self, fleet: str | Path, devices: int, *, slots: int = 1) -> list[str]:
        """Return the names of a fleet's first devices, as the sensors' own command tells them.

        Those of so many processes, each with a slot of its own.
        """
        arguments = [*_fleet_arguments("devices", fleet, devices), "--slots", str(slots)]
        asked = subprocess.run(  # noqa: S603
            [sys.executable, "-m", *arguments],
            cwd=ROOMS,
            env=self._environment({}, {}),
            capture_output=True,
            text=True,
            timeout=_NAMES_WITHIN_SECONDS,
            check=False,
        )
        if asked.returncode != 0:
            raise StackError(asked.stderr.strip())
        return asked.stdout.split()

    def check_running(self) -> None:
        """Raise ProcessFailed where a process has ended, other than a fleet at its own end."""
        for process in self._processes:
            if process.returncode is not None and (
                process.returncode or not process.ends_by_itself
            ):
                raise process.failure(f"ended with exit code {process.returncode}")

    def _place(
        self,
        prefix: str,
        client_id: str,
        told: Mapping[str, str],
        settings: Mapping[str, str],
        port: int | None = None,
    ) -> Place:
        port = port or self._port()
        told = {**told, "HTTP_HOST": HOST, "HTTP_PORT": str(port)}
        variables = {f"{prefix}_{name}": value for name, value in told.items()}
        environment = self._environment(variables, settings)
        return Place(client_id, environment, self._log_path(client_id), HOST, port)

    def start(self, process: AnyProcess, ready_seconds: float = READY_SECONDS) -> AnyProcess:
        """Start a part, ours or a peer of it; it is stopped with the others."""
        # Noted before it starts: one that never becomes ready has to be stopped as well.
        self._processes.append(process)
        process.start(ready_seconds=ready_seconds)
        return process

    def _first_broker(self) -> Broker:
        if not self._brokers:
            raise StackError("start a broker first")
        return self._brokers[0]

    def _port(self) -> int:
        self._ports.append(reserve_port(HOST))
        return self._ports[-1].port

    def _folder(self, name: str) -> Path:
        return self._workspace.subfolder(name)

    def _log_path(self, name: str) -> Path:
        """Return the path of a new log file; a second process of one name has its own."""
        before = sum(process.name == name for process in self._processes)
        path = self.logs / (f"{name}.{before + 1}.log" if before else f"{name}.log")
        path.unlink(missing_ok=True)
        return path

    def _store(self, service: str) -> dict[str, str]:
        told = {"STORE_URL": self.store_url}
        if self._tokens is not None:
            told["STORE_TOKEN_FILE"] = str(self._tokens / f"{service}-token")
        return told

    def _mqtt(self, user: str, client_id: str, broker: Broker | None) -> dict[str, str]:
        return {
            **_address(broker or self._first_broker()),
            "USERNAME": user,
            "PASSWORD_FILE": str(self._secret_files[user]),
            "CLIENT_ID": client_id,
        }

    @staticmethod
    def _environment(told: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, **told, **settings}


def _address(broker: Broker) -> dict[str, str]:
    told = {"BROKER_HOST": broker.host, "BROKER_PORT": str(broker.port)}
    if broker.client_tls is not None:
        files = msgspec.structs.asdict(broker.client_tls)
        told |= {f"TLS_{name.upper()}": str(path) for name, path in files.items() if path}
    return told


def _fleet_arguments(command: str, fleet: str | Path, devices: int) -> list[str]:
    named = str(fleet.resolve()) if isinstance(fleet, Path) else fleet
    return ["sensors", command, named, "--devices", str(devices)]
