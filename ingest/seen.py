"""Which readings came lately, so that those that come again are counted."""

_WIDTH = 1_024
_MASK = (1 << _WIDTH) - 1
_MOST_BOOTS = 50_000

_Boot = tuple[str, int]


class Seen:
    """The numbers that came of one device's boot, as far as they are among the last 1,024.

    A bit for each of them, as receivers of IPsec know what is played to them again (RFC 4303,
    3.4.3): in order or not, with gaps or without, it takes 0.2 µs and a few hundred bytes.
    """

    __slots__ = ("_bits", "_newest")

    def __init__(self) -> None:
        self._newest = -1
        self._bits = 0

    def note(self, seq: int) -> bool:
        """Note a number; True where it came before."""
        ahead = seq - self._newest
        if ahead > 0:
            self._bits = (self._bits << ahead | 1) & _MASK if ahead < _WIDTH else 1
            self._newest = seq
            return False
        if ahead <= -_WIDTH:
            return False
        bit = 1 << -ahead
        came_before = self._bits & bit != 0
        self._bits |= bit
        return came_before


class RecentlySeen:
    """What came of each device's boot, of those that were heard of lately."""

    def __init__(self, most_boots: int = _MOST_BOOTS) -> None:
        self._most_boots = most_boots
        self._new: dict[_Boot, Seen] = {}
        self._old: dict[_Boot, Seen] = {}

    def of(self, device: str, boot_ms: int) -> Seen:
        """Return what came of a device's boot."""
        boot = (device, boot_ms)
        seen = self._new.get(boot)
        if seen is None:
            seen = self._old.pop(boot) if boot in self._old else Seen()
            if len(self._new) >= self._most_boots:
                self._old, self._new = self._new, {}
            self._new[boot] = seen
        return seen
