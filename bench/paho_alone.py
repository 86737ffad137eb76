"""What paho-mqtt alone costs: many clients in one thread that publish nothing but a message.

A process of its own, told by JSON on its standard input; it answers with JSON. It does what any
program on paho has to do, and no more: `publish`, the sockets, and the acknowledgements.
"""

import selectors
import sys
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

_SETTLE_SECONDS = 5.0


class Order(Struct):
    """What to do: each client with its name, password and topic, all at one level and pace."""

    host: str
    port: int
    clients: list[tuple[str, str, str]]
    qos: int
    messages_per_second: float
    seconds: float


class Result(Struct):
    """What came of it; at QoS 0 a message counts when it is sent."""

    messages: int
    cpu_seconds: float


def main() -> None:
    """Carry the order out, and say what it cost."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    print(msgspec.json.encode(_run(order)).decode())


def _run(order: Order) -> Result:
    loop = _Loop()
    for name, password, _ in order.clients:
        loop.connect(order, name, password)
    loop.turn_until(lambda: loop.connected == len(order.clients), 60)
    began_s, cpu_s, sent = time.monotonic(), time.process_time(), 0
    while (passed_s := time.monotonic() - began_s) < order.seconds:
        due = int(passed_s * order.messages_per_second)
        while sent < due:
            client = loop.clients[sent % len(loop.clients)]
            client.publish(order.clients[sent % len(loop.clients)][2], b"", order.qos)
            sent += 1
        loop.turn(0.002)
    if order.qos:
        loop.turn_until(lambda: loop.acknowledged >= sent, _SETTLE_SECONDS)
    cpu_s = time.process_time() - cpu_s
    return Result(loop.acknowledged if order.qos else sent, cpu_s)


class _Loop:
    """paho's external loop over a selector, for many clients."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.connected = 0
        self.acknowledged = 0
        self._selector = selectors.DefaultSelector()

    def connect(self, order: Order, name: str, password: str) -> None:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.username_pw_set(name, password)
        client.on_connect = lambda *_: self._count_connection()
        client.on_publish = lambda *_: self._count_acknowledgement()
        client.connect(order.host, order.port)
        self._selector.register(client.socket(), selectors.EVENT_READ, client)  # type: ignore[arg-type]
        client.loop_write()
        self.clients.append(client)

    def turn(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data.loop_read()
            if key.data.want_write():
                key.data.loop_write()

    def turn_until(self, condition: Callable[[], bool], seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while not condition() and time.monotonic() < end_s:
            self.turn(0.01)

    def _count_connection(self) -> None:
        self.connected += 1

    def _count_acknowledgement(self) -> None:
        self.acknowledged += 1


if __name__ == "__main__":
    main()
