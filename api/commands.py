"""Commands to devices over MQTT 5: sent with a response topic, answered with its correlation data.

CommandProblem
├── NoBroker         there is no connection over which to ask
├── DeviceOffline    nobody listens there
├── DeviceRefused    the device says that it does not
├── DeviceSilent     no answer came in time
├── BadAnswer        what came is none
└── TooManyCommands  others wait already
"""

import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from api.command_journal import CommandJournal
from api.live.figures import LiveFigures
from api.problems import Problem
from api.settings import ApiSettings
from telemetry.topics import command_topic
from telemetry.worked_out import worked_out

_CORRELATION_BYTES = 16
_MOST_ANSWER_BYTES = 65_536
_NO_SUBSCRIBERS = 0x10  # MQTT 5.0, 3.4.2.1
_RETRY_AFTER_SECONDS = 1


class CommandProblem(Problem):
    """Raised when a command was not carried out, as far as is known."""


class NoBroker(CommandProblem):
    """Raised when there is no connection to the broker, or it was lost meanwhile."""

    def __init__(self) -> None:
        detail = "There is no connection to the broker now."
        super().__init__(503, detail, name="no-broker", retry_after_seconds=_RETRY_AFTER_SECONDS)


class DeviceOffline(CommandProblem):
    """Raised when a device does not listen to commands now."""

    def __init__(self, device: str) -> None:
        super().__init__(409, f"Device {device!r} is not online.", name="device-offline")


class DeviceRefused(CommandProblem):
    """Raised when a device answers that it does not do what it was told."""

    def __init__(self, detail: str) -> None:
        super().__init__(422, f"The device refuses: {detail}", name="device-refused")


class DeviceSilent(CommandProblem):
    """Raised when a device has not answered in time; it may have done as it was told."""

    def __init__(self, device: str, seconds: float) -> None:
        detail = f"Device {device!r} has not answered within {seconds:g} s."
        super().__init__(504, detail, name="device-silent")


class BadAnswer(CommandProblem):
    """Raised when a device's answer cannot be read."""

    def __init__(self, device: str) -> None:
        super().__init__(502, f"Device {device!r} gave an answer that is none.", name="bad-answer")


class TooManyCommands(CommandProblem):
    """Raised when as many commands wait for their devices as may."""

    def __init__(self, most: int) -> None:
        super().__init__(
            429,
            f"There are {most} commands waiting for their devices, as many as may be.",
            name="too-many-commands",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )


@worked_out
class DeviceAnswer(Struct, frozen=True):
    """The part of a device's answer that every one has."""

    ok: bool
    error: str = ""


class _Waiting:
    """One command on its way."""

    def __init__(self, site: str, device: str) -> None:
        self.topic_start = f"reply/{site}/{device}/"
        self.began_s = time.monotonic()
        self.mid: int | None = None
        self.answer: bytes | None = None
        self.nobody_listens = False
        self.link_lost = False
        self.done = threading.Event()


class Commands:
    """Sends commands and matches their answers; safe to share between threads."""

    def __init__(
        self, settings: ApiSettings, is_connected: Callable[[], bool], figures: LiveFigures
    ) -> None:
        self.replies = ""
        self._client: Client | None = None
        self._client_id = ""
        self._settings = settings
        self._is_connected = is_connected
        self._figures = figures
        self._journal = CommandJournal(settings.client_id)
        self._turns = threading.BoundedSemaphore(max(1, settings.max_commands))
        self._waiting: dict[bytes, _Waiting] = {}
        self._unheard: dict[int, float] = {}

    def attach(self, client: Client, client_id: str) -> None:
        """Use a client from now on; answers come to its id's own topics."""
        self._client, self._client_id = client, client_id
        self.replies = f"reply/+/+/{client_id}"

    def send(self, site: str, device: str, name: str, body: bytes) -> dict[str, Any]:
        """Send a command, and return what its device answers; raises CommandProblem."""
        most = self._settings.max_commands
        if most == 0 or not self._turns.acquire(blocking=False):
            raise TooManyCommands(most)
        correlation, waiting = secrets.token_bytes(_CORRELATION_BYTES), _Waiting(site, device)
        self._waiting[correlation] = waiting
        try:
            self._publish(command_topic(site, device, name), body, correlation, waiting)
            waiting.done.wait(self._settings.command_timeout_seconds)
        finally:
            del self._waiting[correlation]
            self._turns.release()
        try:
            answer = self._result(waiting, device)
        except CommandProblem as problem:
            self._journal.note(self._client, device, name, problem.name, waiting.began_s)
            raise
        self._journal.note(self._client, device, name, "done", waiting.began_s)
        return answer

    def take_answer(self, topic: str, correlation: bytes | None, payload: bytes) -> None:
        """Take a device's answer; one that nobody waits for is dropped and counted.

        A device can write only below its own name: an answer from elsewhere is nobody's.
        """
        waiting = self._waiting.get(correlation) if correlation is not None else None
        if waiting is None or not topic.startswith(waiting.topic_start) or waiting.done.is_set():
            self._figures.count("late_answers")
            return
        waiting.answer = payload
        waiting.done.set()

    def note_published(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        """Note that the broker has a message, and whether anybody listens to its topic."""
        if reason.value == _NO_SUBSCRIBERS or reason.is_failure:
            # No lock: paho calls this with one of its own, which publish() takes as well. Whoever
            # publishes may not know the number yet, and looks here.
            self._unheard[mid] = time.monotonic()
            for waiting in list(self._waiting.values()):
                self._end_unheard(waiting)

    def give_up(self) -> None:
        """End all that waits: the connection over which answers would come is lost."""
        for waiting in list(self._waiting.values()):
            waiting.link_lost = True
            waiting.done.set()

    def _publish(self, topic: str, body: bytes, correlation: bytes, waiting: _Waiting) -> None:
        client = self._client
        if client is None or not self._is_connected():
            raise NoBroker
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = waiting.topic_start + self._client_id
        properties.CorrelationData = correlation
        properties.MessageExpiryInterval = math.ceil(self._settings.command_timeout_seconds)
        properties.ContentType = "application/json"
        sent = client.publish(topic, body, qos=1, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NoBroker
        self._figures.count("commands_sent")
        waiting.mid = sent.mid
        self._end_unheard(waiting)

    def _end_unheard(self, waiting: _Waiting) -> None:
        mid = waiting.mid
        if mid is not None and self._unheard.get(mid, 0.0) >= waiting.began_s:
            waiting.nobody_listens = True
            waiting.done.set()

    def _result(self, waiting: _Waiting, device: str) -> dict[str, Any]:
        if waiting.answer is not None:
            return _read(waiting.answer, device)
        if waiting.nobody_listens:
            raise DeviceOffline(device)
        if waiting.link_lost:
            raise NoBroker
        self._figures.count("command_timeouts")
        raise DeviceSilent(device, self._settings.command_timeout_seconds)


def _read(payload: bytes, device: str) -> dict[str, Any]:
    try:
        if len(payload) > _MOST_ANSWER_BYTES:
            raise BadAnswer(device)
        answer = msgspec.json.decode(payload, type=DeviceAnswer)
        whole = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer(device) from error
    if not answer.ok:
        raise DeviceRefused(answer.error[:500] or "it does not say why")
    del whole["ok"]
    return whole
