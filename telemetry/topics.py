"""Topics: how an address becomes an MQTT topic and back, for our own and for foreign ones."""

from functools import lru_cache
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from telemetry.reading import NAME_RULE, Address

READINGS = "telemetry/{site}/{device}/{measurement}"

OWN_SITE = "denyut"
"""The site of our own services: their statuses and figures are not devices."""

FormatName = Literal["native", "flat", "line", "senml", "senml-xml", "value"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)

PARTS = ("site", "device", "measurement")
"""The parts of an address, in their order."""

_FIELD = "field"
_PLACEHOLDERS = (*PARTS, _FIELD)
_SHOWN_CHARACTERS = 80
_KNOWN_TOPICS = 100_000  # remembered addresses; one is about 300 bytes


class TopicError(ValueError):
    """Raised when a topic names no valid address, or a template cannot be read."""


def status_topic(site: str, device: str) -> str:
    """Return the retained topic that says whether a device is online."""
    return f"status/{site}/{device}"


def command_topic(site: str, device: str, name: str) -> str:
    """Return the topic on which a device takes the command `name`."""
    return f"command/{site}/{device}/{name}"


class TopicTemplate(Struct, frozen=True):
    """A pattern of topics such as `zigbee2mqtt/{device} site=home measurement=zigbee`.

    A placeholder fills one whole level. What the topic lacks is named behind it, and `format=`
    fixes the payload format where the content type does not say. Where each value has a topic of
    its own, `format=value` says so, and the topic names the field as well.
    """

    levels: tuple[str, ...]
    fixed: dict[str, str]
    format: FormatName | None = None

    @classmethod
    def parse(cls, text: str) -> "TopicTemplate":
        """Read a template; TopicError says what is wrong with it."""
        pattern, *settings = text.split()
        fixed = dict(_setting(text, setting) for setting in settings)
        payload_format = fixed.pop("format", None)
        if payload_format is not None and payload_format not in FORMAT_NAMES:
            raise TopicError(f"{text!r}: format is one of {', '.join(FORMAT_NAMES)}")
        template = cls(tuple(pattern.split("/")), fixed, payload_format)
        template._check(text)
        return template

    def _check(self, text: str) -> None:
        named = [level[1:-1] for level in self.levels if level.startswith("{")]
        for level in self.levels:
            placeholder = level[1:-1] if level.startswith("{") and level.endswith("}") else None
            if placeholder not in (None, *_PLACEHOLDERS) or (
                placeholder is None and set(level) & set("{}+#")
            ):
                allowed = " ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
                raise TopicError(f"{text!r}: a level is plain text or one of {allowed}")
        for part in PARTS:
            if (named + list(self.fixed)).count(part) != 1:
                raise TopicError(f"{text!r}: names {part} not exactly once")
        if (named + list(self.fixed)).count(_FIELD) != (self.format == "value"):
            raise TopicError(f"{text!r}: with format=value it names field once, else not at all")

    @property
    def subscription(self) -> str:
        """The MQTT topic filter that matches this template."""
        return "/".join("+" if level.startswith("{") else level for level in self.levels)

    def match(self, topic: str) -> Address | None:
        """Return the address that a topic names, or None where it is not of this template."""
        route = self.route(topic)
        return None if route is None else route.address

    def route(self, topic: str) -> "Route | None":
        """Return what a topic tells of its payloads, or None where it is not of this template."""
        found = dict(self.fixed)
        levels = topic.split("/")
        if len(levels) != len(self.levels):
            return None
        for expected, level in zip(self.levels, levels, strict=True):
            if expected.startswith("{"):
                found[expected[1:-1]] = level
            elif expected != level:
                return None
        address = checked_address(found["site"], found["device"], found["measurement"])
        return Route(address, self.format, found.get(_FIELD))

    def topic(self, address: Address) -> str:
        """Return the topic for an address."""
        return "/".join(
            getattr(address, level[1:-1]) if level.startswith("{") else level
            for level in self.levels
        )


class Route(Struct, frozen=True):
    """What a topic tells of its payloads: their address and, where fixed, format and field."""

    address: Address
    format: FormatName | None
    field: str | None = None


class TopicRouter:
    """Finds the address of a topic among several templates; the first that matches wins."""

    def __init__(self, templates: list[TopicTemplate]) -> None:
        self.templates = templates
        self.route = lru_cache(_KNOWN_TOPICS)(self._route)

    def _route(self, topic: str) -> Route:
        for template in self.templates:
            route = template.route(topic)
            if route is not None:
                return route
        raise TopicError("no topic template matches")


def checked_address(site: str, device: str, measurement: str) -> Address:
    """Return the address, or raise TopicError naming the part that breaks the rule of names."""
    found = {"site": site, "device": device, "measurement": measurement}
    try:
        return msgspec.convert(found, Address)
    except msgspec.ValidationError as error:
        part = next(part for part in PARTS if f"$.{part}" in str(error))
        shown = found[part][:_SHOWN_CHARACTERS]
        raise TopicError(f"{part} {shown!r} is not a name: {NAME_RULE}") from error


def parse_templates(text: str) -> list[TopicTemplate]:
    """Read several templates, separated by semicolons."""
    return [TopicTemplate.parse(part) for part in text.split(";") if part.strip()]


def _setting(text: str, setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals or name not in (*_PLACEHOLDERS, "format"):
        allowed = "= ".join(_PLACEHOLDERS)
        raise TopicError(f"{text!r}: behind the topic stand {allowed}= format=")
    return name, value
