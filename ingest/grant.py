"""What a sender may write: the devices that its key names."""

from msgspec import Struct

_ANYTHING = "*"


class Grant(Struct, frozen=True):
    """Devices by name, or by the beginning of their names where it ends in `*`."""

    devices: tuple[str, ...]

    def allows(self, device: str) -> bool:
        """Tell whether readings of this device are taken from the sender."""
        return any(
            device.startswith(one[:-1]) if one.endswith(_ANYTHING) else device == one
            for one in self.devices
        )


EVERYTHING = Grant((_ANYTHING,))
