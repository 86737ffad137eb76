"""The way through a broker: what the connections of a fleet have in common."""

from sensors.fleet import Fleet
from sensors.settings import SensorsSettings
from sensors.uplink import Sender, Shared
from sensors.ways.mqtt.dialler import Broker, Dialler
from sensors.ways.mqtt.groupfiles import manners, passwords
from sensors.ways.mqtt.uplink import MqttUplink
from telemetry.tls import client_context


class MqttWay:
    """Makes the devices' uplinks to one broker; raises FleetError, SettingError."""

    def __init__(self, fleet: Fleet, settings: SensorsSettings) -> None:
        broker = Broker(
            settings.broker_host,
            settings.broker_port,
            settings.keepalive_seconds,
            settings.connect_timeout_seconds,
            client_context(settings),
            settings.broker_socket,
        )
        assert settings.fleet_key is not None, "checked before (sensors/ways/checking.py)"
        self._password = passwords(fleet, settings.fleet_key.value)
        self._manner = manners(fleet)
        self._dialler = Dialler(broker, settings.connects_at_once)

    def uplink(self, sender: Sender, shared: Shared) -> MqttUplink:
        """Return the uplink of a device, with a connection of its own."""
        return MqttUplink(
            sender, self._password(sender), self._dialler, shared, self._manner(sender)
        )

    async def keep(self) -> None:
        """Keep the connections alive, until cancelled; then close what is still open."""
        try:
            await self._dialler.keep_alive()
        finally:
            self._dialler.shut()
