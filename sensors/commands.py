"""Commands: what a device makes of a message on its command topic, and what it answers.

No socket in here. A command names where its answer goes (MQTT 5's response topic) and which one it
is (correlation data). An answer leaves for the device's own reply topics alone; without a place for
it the command is not carried out, because nobody would learn of it.
"""

from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

LARGEST_BODY_BYTES = 4096

_Period = Annotated[int, Meta(ge=100, le=3_600_000)]
_ForMs = Annotated[int, Meta(ge=1, le=86_400_000)]


class Command(Struct, frozen=True, gc=False):
    """A command as it came; None is what the sender left out."""

    topic: str
    body: bytes
    reply_to: str | None
    correlation: bytes | None

    @property
    def name(self) -> str:
        """What is to be done; `command/{site}/{device}/{name}`."""
        return self.topic.split("/", 3)[-1]


class Refused(Exception):
    """Raised when a device does not do what it was told; one line for the sender."""


class Controls(Protocol):
    """What a device can be told. Each returns what the answer says besides `ok`; raises Refused."""

    def set_period(self, period_ms: int) -> dict[str, Any]:
        """Make readings at another pace from now on."""
        ...

    def set_fault(self, fault: str | None, for_ms: int | None) -> dict[str, Any]:
        """Begin a fault, for so long or until told otherwise; None ends all."""
        ...

    def reboot(self) -> dict[str, Any]:
        """Start again, once this is answered."""
        ...


class _SetPeriod(Struct, forbid_unknown_fields=True):
    period_ms: _Period


class _SetFault(Struct, forbid_unknown_fields=True):
    fault: str | None
    for_ms: _ForMs | None = None


class _Reboot(Struct, forbid_unknown_fields=True):
    pass


_BODIES: dict[str, type[_SetPeriod | _SetFault | _Reboot]] = {
    "set-period": _SetPeriod,
    "set-fault": _SetFault,
    "reboot": _Reboot,
}


def replies_under(site: str, device: str) -> str:
    """Return what each topic begins with under which a device answers."""
    return f"reply/{site}/{device}/"


def obey(command: Command, controls: Controls) -> bytes:
    """Carry a command out; return the answer as JSON, `ok` telling whether it was done."""
    try:
        answer = {"ok": True, **_carry_out(command, controls)}
    except Refused as refused:
        answer = {"ok": False, "error": str(refused)}
    return msgspec.json.encode(answer)


def _carry_out(command: Command, controls: Controls) -> dict[str, Any]:
    kind = _BODIES.get(command.name)
    if kind is None:
        raise Refused(f"not a command of this device; one of {', '.join(_BODIES)} is")
    body = _read(command.body, kind)
    if isinstance(body, _SetPeriod):
        return controls.set_period(body.period_ms)
    if isinstance(body, _SetFault):
        return controls.set_fault(body.fault, body.for_ms)
    return controls.reboot()


def _read(
    body: bytes, kind: type[_SetPeriod | _SetFault | _Reboot]
) -> _SetPeriod | _SetFault | _Reboot:
    if len(body) > LARGEST_BODY_BYTES:
        raise Refused(f"{len(body)} bytes are more than the {LARGEST_BODY_BYTES} allowed")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A message may hold what was sent: one line of it, and not without end.
        raise Refused(" ".join(str(error).split())[:200]) from error
