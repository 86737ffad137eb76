"""The ways through channels: one channel a device, or one for the whole process."""

import asyncio
from collections.abc import Callable

from sensors.counters import Counters
from sensors.settings import SensorsSettings
from sensors.uplink import Sender, Shared
from sensors.ways.carrier import Carrier, Opening
from sensors.ways.channel import Channel
from sensors.ways.uplink import ChannelUplink
from telemetry.rarelog import RareLog

MakeChannel = Callable[[], Channel]


class DeviceChannels:
    """A way on which each device has a channel of its own."""

    def __init__(self, make: MakeChannel, settings: SensorsSettings) -> None:
        self._make = make
        self._opening = _opening(settings)

    def uplink(self, sender: Sender, shared: Shared) -> ChannelUplink:
        """Return the uplink of a device, with a channel of its own."""
        carrier = Carrier(sender.name, self._make(), self._opening, shared.counters, shared.log)
        return ChannelUplink(sender, carrier, shared)

    async def keep(self) -> None:
        """Do nothing: each channel keeps itself."""


class ProcessChannel:
    """A way on which all devices share one channel."""

    def __init__(
        self, make: MakeChannel, settings: SensorsSettings, counters: Counters, log: RareLog
    ) -> None:
        self._carrier = Carrier(settings.client_id, make(), _opening(settings), counters, log)

    def uplink(self, sender: Sender, shared: Shared) -> ChannelUplink:
        """Return the uplink of a device."""
        return ChannelUplink(sender, self._carrier, shared)

    async def keep(self) -> None:
        """Do nothing: the channel keeps itself."""


def _opening(settings: SensorsSettings) -> Opening:
    return Opening(settings.connect_timeout_seconds, asyncio.Semaphore(settings.connects_at_once))
