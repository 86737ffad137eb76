"""A device below any MQTT library: it can send what our own devices, and paho, never would."""

import socket
import time
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from stack.broker import Broker
from stack.faults import packets
from stack.faults.packets import PacketSplitter
from stack.local import LocalStack
from telemetry.ledger import SUFFIX, LedgerWriter
from telemetry.reading import Value

SITE = "faults"
WINDOW = 20  # Mosquitto 2.0.11 loses QoS 2 messages beyond what it has in flight
_ANSWER_SECONDS = 10.0
_LAST_PACKET_ID = 65_535


class Disconnected(Exception):
    """Raised when the broker ended the connection; `reason` is its DISCONNECT's, if it sent one."""

    def __init__(self, reason: int | None) -> None:
        super().__init__("no word" if reason is None else f"reason {reason:#x}")
        self.reason = reason


class RawClient:
    """One MQTT 5 connection of a device, over a blocking socket.

    Raises Disconnected where the broker does not take it.
    """

    def __init__(self, connection: socket.socket, user: str, password: str) -> None:
        self._splitter = PacketSplitter()
        self._found: list[bytes] = []
        self._packet_id = 0
        self._socket = connection
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(packets.connect(user, user, password))
        reason = packets.reason_of(self.receive())
        if reason != packets.SUCCESS:
            raise Disconnected(reason)

    @classmethod
    def of(cls, broker: Broker, user: str) -> Self:
        """Return a connection to one of our own brokers, with the device's own password."""
        connection = socket.create_connection((broker.host, broker.port), _ANSWER_SECONDS)
        return cls(connection, user, broker.password(user))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """Return the next packet; Disconnected where the broker ends the connection."""
        while not self._found:
            try:
                data = self._socket.recv(1 << 16)
            except ConnectionError as error:
                raise Disconnected(None) from error
            if not data:
                raise Disconnected(None)
            self._found = self._splitter.feed(data)
        found = self._found.pop(0)
        if found[0] == packets.DISCONNECT:
            raise Disconnected(packets.reason_of(found))
        return found

    def next_packet_id(self) -> int:
        """Return a packet identifier that is free, as long as few are in flight."""
        self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
        return self._packet_id

    def publish(
        self,
        topic: str | bytes,
        payload: bytes,
        qos: int = 1,
        *,
        dup: bool = False,
        packet_id: int | None = None,
        content_type: str | None = None,
    ) -> int:
        """Publish, see the handshake to its end, and return the broker's reason code."""
        number = packet_id or self.next_packet_id()
        self.send(packets.publish(topic, payload, qos, number, dup=dup, content_type=content_type))
        return self.handshake() if qos else packets.SUCCESS

    def handshake(self) -> int:
        """See the next handshake to its end; return its reason code."""
        while True:
            answered = self.receive()
            if answered[0] == packets.PUBREC and packets.reason_of(answered) < 0x80:
                self.send(packets.answer(packets.PUBREL, packets.packet_id_of(answered)))
            elif answered[0] in (packets.PUBACK, packets.PUBREC, packets.PUBCOMP):
                return packets.reason_of(answered)

    def publish_all(
        self, messages: Iterable[tuple[str, bytes]], qos: int = 1, content_type: str | None = None
    ) -> int:
        """Publish many, so many at once as may be in flight; return how many were refused."""
        refused, in_flight = 0, 0
        for topic, payload in messages:
            number = self.next_packet_id()
            self.send(packets.publish(topic, payload, qos, number, content_type=content_type))
            in_flight += bool(qos)
            if in_flight >= WINDOW:
                refused += self.handshake() >= 0x80
                in_flight -= 1
        return refused + sum(self.handshake() >= 0x80 for _one in range(in_flight))


class RawDevice:
    """A raw client whose readings stand in the ledger, as those of our own devices do."""

    def __init__(self, local: LocalStack, broker: Broker, name: str, *, qos: int = 1) -> None:
        broker.admit([name])
        self.name = name
        self.qos = qos
        self.boot_ms = now_ms()
        self.client = RawClient.of(broker, name)
        self._ledger = LedgerWriter(local.ledger_folder / f"raw-{name}{SUFFIX}")
        self._session = self._ledger.open_session(
            site=SITE, device=name, boot_ms=self.boot_ms, qos=qos
        )
        self._seq = 0
        self._offered: list[int] = []
        self._last_ms = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ledger.close()
        self.client.__exit__(*error)

    def topic(self, measurement: str) -> str:
        """Return the topic of one of its measurements."""
        return f"telemetry/{SITE}/{self.name}/{measurement}"

    def due_ms(self) -> int:
        """Return the time for a new reading: now, and later than that of any before."""
        self._last_ms = max(now_ms(), self._last_ms + 1)
        return self._last_ms

    def offer(self, measurement: str, time_ms: int, *, seq: int | None = None) -> int:
        """Note in the ledger that a reading is about to be published; return its number."""
        number = self._seq if seq is None else seq
        self._seq = max(self._seq, number + 1)
        self._ledger.offered(self._session, number, time_ms, measurement)
        self._ledger.flush()
        self._offered.append(number)
        return number

    def acknowledge_offered(self) -> None:
        """Note that the broker has taken all that was offered until now."""
        for number in self._offered:
            self._ledger.acknowledged(self._session, number)
        self._offered.clear()
        self._ledger.flush()

    def publish(
        self,
        measurement: str,
        values: Mapping[str, Value],
        *,
        time_ms: int | None = None,
        seq: int | None = None,
        dup: bool = False,
    ) -> bytes:
        """Offer a reading and publish it; return its payload."""
        due_ms = self.due_ms() if time_ms is None else time_ms
        number = self.offer(measurement, due_ms, seq=seq)
        payload = native(due_ms, values, self.boot_ms, number)
        reason = self.client.publish(self.topic(measurement), payload, self.qos, dup=dup)
        if self.qos and reason == packets.SUCCESS:
            self.acknowledge_offered()
        return payload


def native(time_ms: int, values: Mapping[str, Value], boot_ms: int, seq: int) -> bytes:
    """Return a native payload."""
    return msgspec.json.encode({"ts": time_ms, "values": values, "boot": boot_ms, "seq": seq})


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
