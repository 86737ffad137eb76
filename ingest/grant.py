"""What a sender may write: the devices that its key names."""

from msgspec import Struct

from telemetry.keys import matches


class Grant(Struct, frozen=True):
    """Devices by name, or by the beginning of their names where it ends in `*`."""

    devices: tuple[str, ...]

    def allows(self, device: str) -> bool:
        """Tell whether readings of this device are taken from the sender."""
        return any(matches(one, device) for one in self.devices)


EVERYTHING = Grant(("*",))
