"""How the devices of a group publish and connect, where that is not as all others do."""

import ssl

from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Packed:
    """The properties of a PUBLISH that are always the same: written once, not once a message."""

    def __init__(self, properties: Properties) -> None:
        self._bytes: bytes = properties.pack()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self._bytes)

    def pack(self) -> bytes:
        """Return them with their length, as paho asks for them."""
        return self._bytes


class Manner(Struct, frozen=True):
    """None is as the process does it."""

    retain: bool = False
    properties: Packed | None = None
    keepalive_seconds: int | None = None
    port: int | None = None
    tls: ssl.SSLContext | None = None

    @property
    def properties_bytes(self) -> int:
        """How long the properties of a PUBLISH are, their length included."""
        return 1 if self.properties is None else len(self.properties)


USUAL = Manner()


def expiring(seconds: int | None) -> Packed | None:
    """Return the properties of messages that the broker forgets after so many seconds."""
    if seconds is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = seconds
    return Packed(properties)
