"""The rows: which way each is, what it promises, and how a stack is brought up with it open."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from bench.compare.corpus import DEVICES, device_name
from bench.compare.running import Open
from bench.compare.ways import Channels, Datagrams, Mqtt
from stack.local import LocalStack
from stack.ways import Way

_HTTP_CHANNELS = 50
"""Of four requests at once each: as many as ingest answers, and more than 1,000 a second need."""

Settings = Mapping[str, str]
_AT_MOST_ONCE, _AT_LEAST_ONCE = "0", "1"
"""Ingest counts what has no answer as it counts QoS 0, and what has one as QoS 1."""


class Row(Struct, frozen=True):
    """A way with its manner; `promised` says whether it promises every reading."""

    name: str
    promised: bool
    opening: Callable[[LocalStack, Settings, str], Open]

    def open(self, local: LocalStack, settings: Settings, *, module: str = "ingest") -> Open:
        """Start what it needs, and an ingest that takes readings by it."""
        return self.opening(local, settings, module)


def _mqtt(qos: int, *, tls: bool = False) -> Callable[[LocalStack, Settings, str], Open]:
    def opening(local: LocalStack, settings: Settings, module: str) -> Open:
        broker = local.start_broker(tls=tls)
        ingest = local.start_ingest(settings=settings, module=module)
        names = [device_name(number) for number in range(DEVICES)]
        broker.admit(names)
        way = Mqtt(
            host=broker.host,
            port=broker.port,
            qos=qos,
            passwords={name: broker.password(name) for name in names},
            ca_file=str(broker.client_tls.ca_file) if broker.client_tls else "",
        )
        return Open(local, ingest, way, {"broker": broker}, str(qos))

    return opening


def _named(name: str) -> Callable[[LocalStack, Settings, str], Open]:
    """Return what opens a way other than MQTT, by the name that the local stack has for it."""

    def opening(local: LocalStack, settings: Settings, module: str) -> Open:
        store = set(local.processes)
        way = local.ways.named(name)
        between = {one.name: one for one in local.processes if one not in store}
        ingest = local.start_ingest(ways=[way], settings=settings, module=module)
        kind = _AT_LEAST_ONCE if way.acknowledged else _AT_MOST_ONCE
        return Open(local, ingest, _sent_by(way), between, kind)

    return opening


def _sent_by(way: Way) -> Channels | Datagrams:
    told = way.sensors
    if not way.acknowledged:
        host, port = told.get("UDP_HOST", ""), int(told.get("UDP_PORT", 0))
        return Datagrams(host=host, port=port, path=told.get("UNIXGRAM_SOCKET", ""))
    settings = {f"SENSORS_{name}": value for name, value in told.items()}
    # What is said of HTTP is said of a request a reading; the fleet's devices share their requests.
    alone = _HTTP_CHANNELS if way.name == "http" else 0
    return Channels(settings={**settings, "SENSORS_VIA": way.name}, alone=alone)


ROWS: tuple[Row, ...] = (
    Row("mqtt-0", False, _mqtt(0)),
    Row("mqtt-1", True, _mqtt(1)),
    Row("mqtt-2", True, _mqtt(2)),
    Row("mqtt-tls", True, _mqtt(1, tls=True)),
    Row("tcp", True, _named("tcp")),
    Row("tcp-tls", True, _named("tcp-tls")),
    Row("unix", True, _named("unix")),
    Row("udp", False, _named("udp")),
    Row("unixgram", False, _named("unixgram")),
    Row("folder", True, _named("folder")),
    Row("database-sqlite", True, _named("database-sqlite")),
    Row("database-postgresql", True, _named("database-postgresql")),
    Row("http", True, _named("http")),
    Row("https", True, _named("https")),
)
