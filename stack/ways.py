"""The ways other than MQTT on one machine: what each side of one has to be told."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from msgspec import Struct

from broker.certificates import Authority
from stack import StackError
from stack.inbox import Inbox, make_postgresql_inbox, make_sqlite_inbox
from stack.postgresql import Postgresql
from stack.workspace import Workspace
from telemetry.keys import entry_line, make_key

MQTT = "mqtt"


class Way(Struct, frozen=True):
    """A way between the processes of a local stack.

    `ingest` and `sensors` are settings without their prefix, for the one and the other side. One
    that is not `acknowledged` carries QoS 0 alone.
    """

    name: str
    ingest: Mapping[str, str]
    sensors: Mapping[str, str]
    acknowledged: bool = True

    @classmethod
    def folder(cls, path: Path) -> Self:
        """Return the way by a shared folder, which is made where it is not there yet."""
        path.mkdir(exist_ok=True)
        told = {"FOLDER": str(path)}
        return cls("folder", told, told)


class Ways:
    """The ways of one local stack: each once, with a place of its own, and one key for all."""

    def __init__(
        self,
        host: str,
        workspace: Workspace,
        authority: Callable[[], Authority],
        port: Callable[[], int],
        postgresql: Callable[[], Postgresql],
        environment: Mapping[str, str],
    ) -> None:
        self._host = host
        self._workspace = workspace
        self._authority = authority
        self._port = port
        self._postgresql = postgresql
        self._environment = environment
        self._made: dict[str, Way] = {}
        self._sockets = 0

    def named(self, name: str) -> Way:
        """Return a way by its name in the comparison; StackError names those that there are."""
        if name not in self._made:
            self._made[name] = self.another(name)
        return self._made[name]

    def another(self, name: str) -> Way:
        """Return the way as a second ingest needs it: what two cannot share has another address."""
        if name not in WAYS:
            raise StackError(f"{name!r} is no way; {', '.join((MQTT, *WAYS))} are")
        return WAYS[name](self)

    def chosen(self, name: str, qos: str | None) -> tuple[Way | None, str]:
        """Return the way that a person asks for, None for MQTT, and the level at which it is taken.

        Without a wish that is a mix, or QoS 0 where there are no answers; StackError where the two
        do not go together.
        """
        way = None if name == MQTT else self.named(name)
        answers = way is None or way.acknowledged
        if not answers and qos not in (None, "0"):
            raise StackError(f"--qos {qos}: --via {name} gives no answers; 0 is allowed")
        return way, qos or ("mixed" if answers else "0")

    def _tcp(self) -> Way:
        keys, key = self._keys
        port = str(self._port())
        ingest = {"TCP_LISTEN": f"{self._host}:{port}", "KEYS_FILE": str(keys)}
        return Way("tcp", ingest, {"TCP_HOST": self._host, "TCP_PORT": port, "KEY_FILE": str(key)})

    def _tcp_tls(self) -> Way:
        tcp, (certificate, key, ca) = self._tcp(), self._certificate
        shown = {"TCP_CERTIFICATE_FILE": str(certificate), "TCP_KEY_FILE": str(key)}
        return Way("tcp", {**tcp.ingest, **shown}, {**tcp.sensors, "TLS_CA_FILE": str(ca)})

    def _unix(self) -> Way:
        told = {"UNIX_SOCKET": self._socket("lines")}
        return Way("unix", told, told)

    def _udp(self) -> Way:
        port = str(self._port())
        sensors = {"UDP_HOST": self._host, "UDP_PORT": port}
        return Way("udp", {"UDP_LISTEN": f"{self._host}:{port}"}, sensors, acknowledged=False)

    def _unixgram(self) -> Way:
        told = {"UNIXGRAM_SOCKET": self._socket("datagrams")}
        return Way("unixgram", told, told, acknowledged=False)

    def _folder(self) -> Way:
        return Way.folder(self._workspace.subfolder("shared"))

    def _database_sqlite(self) -> Way:
        return _database(self._sqlite_inbox)

    def _database_postgresql(self) -> Way:
        return _database(self._postgresql_inbox)

    @cached_property
    def _sqlite_inbox(self) -> Inbox:
        return make_sqlite_inbox(self._workspace.subfolder("inbox"), self._environment)

    @cached_property
    def _postgresql_inbox(self) -> Inbox:
        secrets, server = self._workspace.secrets, self._postgresql()
        return make_postgresql_inbox(server, "inbox", secrets, self._environment)

    def _http(self) -> Way:
        return self._over_http("http", {}, {})

    def _https(self) -> Way:
        certificate, key, ca = self._certificate
        shown = {"INTAKE_CERTIFICATE_FILE": str(certificate), "INTAKE_KEY_FILE": str(key)}
        return self._over_http("https", shown, {"TLS_CA_FILE": str(ca)})

    def _over_http(self, scheme: str, ingest: Mapping[str, str], sensors: Mapping[str, str]) -> Way:
        keys, key = self._keys
        at = f"{self._host}:{self._port()}"
        return Way(
            "http",
            {"INTAKE_LISTEN": at, "KEYS_FILE": str(keys), **ingest},
            {"HTTP_URL": f"{scheme}://{at}", "KEY_FILE": str(key), **sensors},
        )

    @cached_property
    def _keys(self) -> tuple[Path, Path]:
        """The file of ingest's keys, and the key of the devices, which is in it."""
        key, entry = make_key("devices", ["write"], None, made="")
        keys = self._workspace.secret("sender-keys", entry_line(entry).decode())
        return keys, self._workspace.secret("sender-key", key)

    @cached_property
    def _certificate(self) -> tuple[Path, Path, Path]:
        """What ingest shows, its key, and whom the devices trust."""
        authority = self._authority()
        issued = authority.issue_server([self._host, "localhost"])
        return (
            self._workspace.secret("ingest.crt", issued.certificate_pem),
            self._workspace.secret("ingest.key", issued.key_pem),
            self._workspace.secret("ca.crt", authority.certificate_pem),
        )

    def _socket(self, what: str) -> str:
        """Return a path that no other way of this stack has."""
        self._sockets += 1
        return str(self._workspace.subfolder("sockets") / f"{what}-{self._sockets}.socket")


def _database(inbox: Inbox) -> Way:
    return Way(
        "database",
        {"DATABASE_URL_FILE": str(inbox.claimer_url_file)},
        {"DATABASE_URL_FILE": str(inbox.sender_url_file)},
    )


WAYS: dict[str, Callable[[Ways], Way]] = {
    "tcp": Ways._tcp,
    "tcp-tls": Ways._tcp_tls,
    "unix": Ways._unix,
    "udp": Ways._udp,
    "unixgram": Ways._unixgram,
    "folder": Ways._folder,
    "database-sqlite": Ways._database_sqlite,
    "database-postgresql": Ways._database_postgresql,
    "http": Ways._http,
    "https": Ways._https,
}
