"""What the streams are fed by: an MQTT connection of its own, there only while somebody listens.

A subscription to all readings would make the broker say success to a device whose reading nobody
stores (PUBACK 0x00 in place of 0x10, MQTT 5.0, 3.4.2.1). So it is held only while the retained
status of an ingest says that one has subscribed.
"""

import threading
import time
from typing import Literal

import msgspec
from msgspec import Struct
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from api.broker_client import KEEPALIVE_SECONDS, BrokerClient, client_id, make_client
from api.live.events import reading_event
from api.live.figures import LiveFigures
from api.live.hub import Hub
from api.questions import now_ms
from api.settings import ApiSettings
from telemetry import log
from telemetry.payload import PayloadError, decode
from telemetry.topics import OWN_SITE, READINGS, TopicError, TopicRouter, TopicTemplate
from telemetry.worked_out import worked_out

READING_TOPICS = "telemetry/#"
INGEST_STATUSES = f"status/{OWN_SITE}/+"
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"

_LINGER_SECONDS = 10.0
_MOST_PAYLOAD_BYTES = 65_536
_MOST_STATUS_BYTES = 4_096
_NOTICED_AFTER_MS = KEEPALIVE_SECONDS * 1_500
# At QoS 0 the broker keeps nothing for us; what it retains is no live reading.
_AS_READINGS = SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)

_log = log.get(__name__)


@worked_out
class IngestStatus(Struct, frozen=True):
    """What an ingest says of itself, as far as it matters here (ingest/members.py)."""

    state: Literal["online", "offline"]
    profile: Literal["ingest"]


class Feed:
    """Hears readings for the hub; `keep` starts and stops it, on the hub's thread."""

    def __init__(self, settings: ApiSettings, hub: Hub, figures: LiveFigures) -> None:
        self._settings = settings
        self._hub = hub
        self._figures = figures
        self._route = TopicRouter([TopicTemplate.parse(READINGS)]).route
        self._client: BrokerClient | None = None
        self._wanted_s = 0.0
        self._online: set[str] = set()
        self._subscribed = False
        self._mid: int | None = None
        self._dropped: tuple[int, int] | None = None

    def keep(self) -> None:
        """Connect where somebody listens, and leave some time after the last one went."""
        if self._hub.wants_readings:
            self._wanted_s = time.monotonic()
            if self._client is None:
                self._start()
        elif self._client is not None and time.monotonic() - self._wanted_s > _LINGER_SECONDS:
            self.stop()

    def stop(self) -> None:
        """Leave the broker."""
        client, self._client = self._client, None
        if client is None:
            return
        self._hub.feed_down(now_ms(), "nobody listens")
        client.disconnect()
        # It ends with its connection, and nobody has to wait for that.
        threading.Thread(target=client.loop_stop, name="live-feed-end", daemon=True).start()

    def _start(self) -> None:
        client = make_client(self._settings, client_id(self._settings, "-live"))
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._client = client
        client.begin(self._settings)

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._hub.feed_down(now_ms(), "the broker refuses the connection")
            _log.error("broker refuses the connection for streams", reason=str(reason))
            return
        self._online.clear()
        self._subscribed, self._mid, self._dropped = False, None, None
        self._hub.feed_down(now_ms(), "no ingest is online")
        client.subscribe([(INGEST_STATUSES, SubscribeOptions(qos=1))])
        client.subscribe([(DROPPED_TOPIC, SubscribeOptions(qos=0))])

    def _on_connect_fail(self, client: Client, _userdata: object) -> None:
        if client is self._client and isinstance(client, BrokerClient):
            self._hub.feed_down(now_ms(), "the broker cannot be reached")

    def _on_disconnect(
        self,
        client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is self._client:
            # A link that died was perhaps noticed only when the keepalive had run out.
            self._hub.feed_down(now_ms() - _NOTICED_AFTER_MS, "the connection was lost")
            _log.warning("connection for streams lost", reason=str(reason))

    def _on_subscribe(
        self,
        client: Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            _log.error("broker refuses a subscription for streams", reason=refused[0])
        elif mid == self._mid and self._subscribed and client is self._client:
            self._hub.feed_up()
            _log.info("hearing readings for streams", topic=READING_TOPICS)

    def _on_message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        if topic.startswith("telemetry/"):
            self._hear(topic, payload, message.properties)
        elif topic == DROPPED_TOPIC:
            self._note_dropped(payload)
        else:
            self._note_ingest(client, topic, payload)

    def _hear(self, topic: str, payload: bytes, properties: Properties | None) -> None:
        self._figures.count("heard_messages")
        try:
            if len(payload) > _MOST_PAYLOAD_BYTES:
                raise PayloadError("too long")
            readings = decode(
                payload,
                self._route(topic).address,
                arrival_ms=now_ms(),
                content_type=getattr(properties, "ContentType", None),
            ).readings
        except (PayloadError, TopicError):
            self._figures.count("unreadable_messages")
            return
        self._figures.count("heard_readings", len(readings))
        self._hub.hear([reading_event(reading) for reading in readings])

    def _note_ingest(self, client: Client, topic: str, payload: bytes) -> None:
        name = topic.rpartition("/")[2]
        try:
            status = msgspec.json.decode(payload[:_MOST_STATUS_BYTES], type=IngestStatus)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            status = None
        if status is not None and status.state == "online":
            self._online.add(name)
        else:
            self._online.discard(name)
        if bool(self._online) != self._subscribed:
            self._subscribe_or_not(client)

    def _subscribe_or_not(self, client: Client) -> None:
        self._subscribed = bool(self._online)
        if self._subscribed:
            _, self._mid = client.subscribe([(READING_TOPICS, _AS_READINGS)])
        else:
            client.unsubscribe(READING_TOPICS)
            self._hub.feed_down(now_ms(), "no ingest is online")

    def _note_dropped(self, payload: bytes) -> None:
        """Take the broker's counter: when it rises, what was dropped may have been for us."""
        try:
            dropped = int(payload)
        except ValueError:
            return
        now = now_ms()
        if self._dropped is not None and dropped > self._dropped[0] and self._subscribed:
            self._figures.count("broker_dropped_messages", dropped - self._dropped[0])
            self._hub.miss(self._dropped[1])
        self._dropped = (dropped, now)
