"""People at a real broker: MQTT clients that note what they are told."""

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.broker import Broker
from tests.eventually import eventually

NOT_AUTHORIZED = "Not authorized"
SUCCESS = "Success"


class Person:
    """An MQTT client that notes what it is told."""

    def __init__(self, broker: Broker, user: str) -> None:
        self.received: list[str] = []
        self.reasons: dict[int, str] = {}
        self.subscribed: set[int] = set()
        self.ended: list[str] = []
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(user, broker.password(user))
        self.client.on_message = self._note_message
        self.client.on_publish = self._note_reason
        self.client.on_subscribe = self._note_subscription
        self.client.on_disconnect = self._note_end
        if broker.client_tls is not None:
            self.client.tls_set_context(broker.client_tls.context())
        self.client.connect(broker.host, broker.port, keepalive=30)
        self.client.loop_start()
        eventually(self.client.is_connected)

    def publish(self, topic: str, payload: bytes = b"{}", qos: int = 1) -> str:
        """Publish and return the broker's reason."""
        number = self.client.publish(topic, payload, qos=qos).mid
        eventually(lambda: number in self.reasons, what=f"the answer to {topic}")
        return self.reasons[number]

    def subscribe(self, topic_filter: str) -> None:
        """Subscribe and wait for the answer, which Mosquitto gives to forbidden filters as well."""
        _, number = self.client.subscribe(topic_filter, qos=1)
        eventually(lambda: number in self.subscribed, what=f"subscribing to {topic_filter}")

    def topics(self) -> list[str]:
        """Return the topics of all that has come so far."""
        return self.received.copy()

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _note_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append(message.topic)

    def _note_reason(
        self, _client: Client, _data: object, number: int, reason: ReasonCode, _more: Properties
    ) -> None:
        self.reasons[number] = str(reason)

    def _note_subscription(
        self,
        _client: Client,
        _data: object,
        number: int,
        _reasons: list[ReasonCode],
        _more: Properties | None,
    ) -> None:
        self.subscribed.add(number)

    def _note_end(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags | ConnectFlags,
        reason: ReasonCode,
        _more: Properties | None,
    ) -> None:
        self.ended.append(str(reason))


class Room:
    """A broker that lets the devices a and b in, and the clients that a test connects to it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._people: list[Person] = []
        broker.admit(["a", "b"])

    def enter(self, user: str) -> Person:
        self._people.append(Person(self.broker, user))
        return self._people[-1]

    def close(self) -> None:
        for person in self._people:
            person.leave()
