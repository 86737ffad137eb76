"""What a broker's answers mean for a reading."""

import pytest

from sensors.outbox import Outcome
from sensors.ways.mqtt.answers import AnswerKind, outcome


@pytest.mark.parametrize("kind", ["PUBACK", "PUBCOMP"])
def test_puback_and_pubcomp_acknowledge(kind: AnswerKind) -> None:
    assert outcome(kind, 0) is Outcome.ACKNOWLEDGED


def test_pubrec_is_not_yet_an_acknowledgement() -> None:
    assert outcome("PUBREC", 0) is Outcome.ONGOING


@pytest.mark.parametrize("kind", ["PUBACK", "PUBREC"])
@pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x99])
def test_a_refusal_is_none(kind: AnswerKind, reason: int) -> None:
    assert outcome(kind, reason) is Outcome.REFUSED


@pytest.mark.parametrize("kind", ["PUBACK", "PUBREC"])
@pytest.mark.parametrize("reason", [0x10, 0x91, 0x97])
def test_what_nobody_subscribes_to_or_is_too_much_now_is_kept(
    kind: AnswerKind, reason: int
) -> None:
    assert outcome(kind, reason) is Outcome.KEPT


def test_a_handshake_that_the_broker_forgot_is_begun_again() -> None:
    assert outcome("PUBCOMP", 0x92) is Outcome.KEPT
