"""One connection to the broker: gmqtt's, with its acknowledgements held back until we send them.

A new object for each connection, so that no acknowledgement can leave on a later one: a packet
identifier means nothing there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import gmqtt
from gmqtt.mqtt.constants import MQTTCommands

from ingest.message import Message, Receipt, Receipts
from ingest.tally import Tally

_HELD_BACK = (MQTTCommands.PUBACK, MQTTCommands.PUBREC)
_SUCCESS_BYTES = 2  # of a PUBACK or PUBREC without reason code: the packet identifier


class Connection(gmqtt.Client):  # type: ignore[misc]
    """Receives messages as they come, and acknowledges those whose receipts are released.

    `on_arrival` takes each message and must not raise; `room` is awaited before the socket is read
    on, so that TCP pushes back on the broker.
    """

    def __init__(
        self,
        client_id: str,
        *,
        on_arrival: Callable[[Message], None],
        room: Callable[[], Awaitable[None]],
        tally: Tally,
        **properties: int,
    ) -> None:
        # Acknowledging "optimistically", gmqtt calls our hook below just before the message.
        super().__init__(
            client_id, clean_session=False, optimistic_acknowledgement=True, **properties
        )
        self._on_arrival = on_arrival
        self._wait_for_room = room
        self._tally = tally
        self._arriving: Receipt | None = None
        self._suback: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        self.receipts = Receipts(self._acknowledge)
        self.lost = asyncio.Event()
        self.on_message = self._message
        self.on_disconnect = self._disconnected
        self.on_subscribe = self._subscribed

    async def reconnect(self, delay: bool = False) -> None:
        """Do not reconnect: the source opens a new connection, with its own pace."""

    async def subscribe_to(self, filters: list[str]) -> tuple[int, ...]:
        """Subscribe at QoS 2; return the broker's answer for each filter (128 and up: refused)."""
        self.subscribe([gmqtt.Subscription(one, qos=2) for one in filters])
        return await self._suback

    def drop(self) -> None:
        """Close the socket without a word, as after a failure; the session stays at the broker."""
        self.receipts.forget()
        if self._connection is not None:
            self._connection._transport.abort()

    async def _create_connection(self, *args: Any, **keywords: Any) -> Any:
        connection = await super()._create_connection(*args, **keywords)
        read = connection._protocol.read

        async def read_when_there_is_room(n: int = -1) -> bytes:
            await self._room_or_keepalive()
            data: bytes = await read(n)
            return data

        connection._protocol.read = read_when_there_is_room
        return connection

    async def _room_or_keepalive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._keepalive / 2):
                    return await self._wait_for_room()
            except TimeoutError:
                # Nothing was read because we did not look: no reason to think the broker dead.
                self._connection._last_data_in = time.monotonic()

    def _send_command_with_mid(self, cmd: int, mid: int, dup: bool, reason_code: int = 0) -> None:
        if cmd in _HELD_BACK:
            self._arriving = self.receipts.owe(cmd, mid)
        else:
            super()._send_command_with_mid(cmd, mid, dup, reason_code)

    def _acknowledge(self, receipts: list[Receipt]) -> None:
        if not self.is_connected:
            return
        packets = bytearray()
        for receipt in receipts:
            packets += bytes((receipt.command, _SUCCESS_BYTES)) + receipt.packet_id.to_bytes(
                2, "big"
            )
        self._connection.send_package(packets)
        self._tally.acknowledged_messages += len(receipts)

    def _message(
        self,
        _client: object,
        topic: str | bytes,
        payload: bytes,
        qos: int,
        properties: dict[str, Any],
    ) -> None:
        receipt, self._arriving = self._arriving, None
        content_type = properties.get("content_type")
        self._on_arrival(
            Message(
                topic,
                payload,
                qos,
                time.time_ns() // 1_000_000,
                bool(properties["dup"]),
                content_type[0] if content_type else None,
                receipt,
            )
        )

    def _disconnected(self, _client: object, _packet: object, *_rest: object) -> None:
        self.receipts.forget()
        self.lost.set()

    def _subscribed(
        self, _client: object, _mid: int, granted: tuple[int, ...], _properties: object
    ) -> None:
        if not self._suback.done():
            self._suback.set_result(granted)
