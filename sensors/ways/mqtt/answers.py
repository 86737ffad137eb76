"""What a broker's answer means for the message that it names."""

from typing import Literal

from sensors.outbox import Outcome

AnswerKind = Literal["PUBACK", "PUBREC", "PUBCOMP", "SUBACK"]

REFUSED = 0x80
"""Reason codes from here on are refusals."""

_NO_MATCHING_SUBSCRIBERS = 0x10
# None of them speaks of the reading: a handshake forgotten (0x92) or mixed up with another one
# (0x91), a client that has sent too much for now (0x97, which Mosquitto answers past its window).
_NOT_NOW = frozenset({_NO_MATCHING_SUBSCRIBERS, 0x91, 0x92, 0x97})


def outcome(kind: AnswerKind, reason: int) -> Outcome:
    """Return what becomes of the message.

    At QoS 2 it is acknowledged by PUBCOMP, not by PUBREC. Until PUBREL the broker holds it in the
    session, and Mosquitto hands it on only then: a connection that breaks in between takes it away
    with the session. It is then published again, so QoS 2 is exactly once only as far as the
    handshake ran undisturbed; the store knows the repeat by its time.
    """
    if kind == "PUBREC" and reason < REFUSED and reason != _NO_MATCHING_SUBSCRIBERS:
        return Outcome.ONGOING
    if reason in _NOT_NOW:
        return Outcome.KEPT
    return Outcome.REFUSED if reason >= REFUSED else Outcome.ACKNOWLEDGED
