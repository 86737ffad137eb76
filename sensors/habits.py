"""How the devices of a group send: what a fleet file may say of it, besides who they are."""

from string import Template
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from sensors.faults.kinds import AnyPlan
from telemetry.reading import Name
from telemetry.topics import READINGS

PayloadFormat = Literal["native", "flat", "line", "template"]

# Without these the audit cannot know a reading again.
_AUDITED_NAMES = frozenset({"ts", "boot", "seq"})

TEMPLATE_NAMES = ("ts", "boot", "seq", "site", "device", "measurement")


class PayloadTemplate(Template):
    """`$name` and `${name}`; a field's name may hold marks in braces."""

    braceidpattern = r"(?a:[A-Za-z0-9][A-Za-z0-9_.:-]{0,63})"
    idpattern = r"(?a:[A-Za-z][A-Za-z0-9_]{0,63})"


class TlsFiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[groups.tls]`."""

    prefix: ClassVar[str] = "group"

    ca_file: Annotated[str, Meta(description="whom to trust (PEM)")]
    certificate_file: Annotated[str, Meta(description="a certificate to show (PEM)")] = ""
    key_file: Annotated[str, Meta(description="the key that belongs to it (PEM)")] = ""

    @property
    def tls_ca_file(self) -> str:
        """Whom to trust."""
        return self.ca_file

    @property
    def tls_certificate_file(self) -> str:
        """What to show."""
        return self.certificate_file

    @property
    def tls_key_file(self) -> str:
        """The key that belongs to it."""
        return self.key_file


class Habits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a device sends. Every key has a value that a plain group takes."""

    jitter_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400_000,
            description="a whole number below period_ms: by up to so much a reading is due later",
        ),
    ] = 0
    measurements: Annotated[
        list[Name] | None,
        Meta(description="a list of the profile's measurements, without it all of them"),
    ] = None
    format: Annotated[PayloadFormat, Meta(description="native, flat, line or template")] = "native"
    pack: Annotated[
        int, Meta(ge=1, le=1000, description="how many readings a message holds, from 1 to 1000")
    ] = 1
    template: Annotated[
        Annotated[str, Meta(max_length=4096)] | None,
        Meta(description="a text with $ts, $boot, $seq, $device and $field names, up to 4096"),
    ] = None
    topic: Annotated[
        Annotated[str, Meta(max_length=1024)],
        Meta(description="a topic template with {device}, such as telemetry/{site}/{device}/{…}"),
    ] = READINGS
    retain: Annotated[bool, Meta(description="true or false")] = False
    expiry_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=2**32 - 1)] | None,
        Meta(description="the message expiry, a whole number of seconds"),
    ] = None
    keepalive_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=65_535)] | None,
        Meta(description="a whole number from 1 to 65535; without it SENSORS_KEEPALIVE_SECONDS"),
    ] = None
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65_535)] | None,
        Meta(description="the broker's port, without it SENSORS_BROKER_PORT"),
    ] = None
    tls: Annotated[TlsFiles | None, Meta(description="a table [groups.tls]")] = None
    faults: Annotated[
        list[AnyPlan], Meta(max_length=100, description="[[groups.faults]], at most 100")
    ] = []
    credentials: Annotated[
        str | None,
        Meta(description="a file of name:password lines; without it passwords are derived"),
    ] = None

    @property
    def audited(self) -> bool:
        """Whether the store can tell the readings apart, so that a ledger of them makes sense."""
        if self.format != "template":
            return True
        return set(PayloadTemplate(self.template or "").get_identifiers()) >= _AUDITED_NAMES


PLAIN = Habits()
