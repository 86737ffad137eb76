"""What a profile is: the measurements that a kind of device makes, and the signals in them."""

from collections.abc import Callable
from random import Random

from msgspec import Struct

from sensors.signals import Signal

Fields = dict[str, Signal]


class Measurement(Struct, frozen=True):
    """A measurement that a device makes at each `every`-th of its periods."""

    name: str
    fields: Callable[[Random], Fields]
    every: int = 1


class Profile(Struct, frozen=True):
    """A kind of device."""

    name: str
    about: str
    measurements: tuple[Measurement, ...]
