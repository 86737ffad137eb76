"""What a device makes of a command's name and body; what may be said of it."""

from typing import Any

import msgspec
import pytest

from sensors.commands import Command, Refused, obey
from sensors.uplink import Commands
from sensors.ways.mqtt.asides import WAITING_REPLIES, Asides, Reply


class Told:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def set_period(self, period_ms: int) -> dict[str, Any]:
        self.calls.append(("set-period", period_ms))
        return {"period_ms": period_ms}

    def set_fault(self, fault: str | None, for_ms: int | None) -> dict[str, Any]:
        if fault == "none of mine":
            raise Refused("not a fault of this device")
        self.calls.append(("set-fault", fault, for_ms))
        return {"fault": fault}

    def reboot(self) -> dict[str, Any]:
        self.calls.append(("reboot",))
        return {"boot": 1}


def say(name: str, body: bytes) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    told = Told()
    command = Command(f"command/home/a/{name}", body, "reply/home/a/api", b"1")
    return msgspec.json.decode(obey(command, told)), told.calls


@pytest.mark.parametrize(
    ("name", "body", "call"),
    [
        ("set-period", b'{"period_ms": 100}', ("set-period", 100)),
        ("set-period", b'{"period_ms": 3600000}', ("set-period", 3_600_000)),
        ("set-fault", b'{"fault": "stuck", "for_ms": 5}', ("set-fault", "stuck", 5)),
        ("set-fault", b'{"fault": null}', ("set-fault", None, None)),
        ("reboot", b"{}", ("reboot",)),
    ],
)
def test_a_command_is_carried_out_and_answered(
    name: str, body: bytes, call: tuple[Any, ...]
) -> None:
    answer, calls = say(name, body)
    assert answer["ok"] is True
    assert calls == [call]


@pytest.mark.parametrize(
    ("name", "body", "word"),
    [
        ("set-period", b'{"period_ms": 99}', "99|100"),
        ("set-period", b'{"period_ms": 3600001}', "3600000"),
        ("set-period", b"{}", "period_ms"),
        ("set-period", b"not JSON", "malformed"),
        ("set-period", b"", "truncated"),
        ("set-period", b"[]", "object"),
        ("set-period", b'{"period_ms": 500, "more": 1}', "more"),
        ("set-period", b'{"period_ms": "\xff"}', ""),
        ("set-period", b'{"a": ' + b"[" * 2000, ""),
        ("set-period", b" " * 4097, "4097"),
        ("set-fault", b'{"fault": 5}', "fault"),
        ("set-fault", b'{"fault": "none of mine"}', "not a fault"),
        ("reboot", b'{"hard": true}', "hard"),
        ("explode", b"{}", "set-period, set-fault, reboot"),
        ("set-period/now", b"{}", "not a command"),
    ],
)
def test_a_bad_command_is_answered_with_one_line_and_nothing_is_done(
    name: str, body: bytes, word: str
) -> None:
    answer, calls = say(name, body)
    assert answer.keys() == {"ok", "error"}
    assert answer["ok"] is False
    assert any(one in answer["error"] for one in word.split("|"))
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 300
    assert calls == []


@pytest.mark.parametrize(
    "topic",
    [None, "", "reply/home/b/api", "reply/home/ab/api", "telemetry/home/a/m", "reply/home/a/+",
     "reply/home/a/#", "reply/other/a/api"],
)  # fmt: skip
def test_an_answer_goes_nowhere_but_under_the_devices_own_reply_topic(topic: str | None) -> None:
    commands = Commands("home", "a", lambda _: (b"", None))
    assert commands.answers_at("reply/home/a/api")
    assert not commands.answers_at(topic)


def test_no_more_answers_are_in_flight_than_there_are_packet_ids_and_their_number_is_bounded() -> (
    None
):
    asides = Asides()
    replies = [Reply(b"t", b"%d" % number, None) for number in range(WAITING_REPLIES)]
    for reply in replies:
        asides.add(reply)
    assert asides.full
    sent = []
    while (entry := asides.next_reply()) is not None:
        sent.append(entry)
    assert [packet_id for packet_id, _ in sent] == list(range(4, 16))
    assert asides.answered(7) is replies[3]
    assert asides.next_reply() == (7, replies[12])
    assert len(asides.connection_lost()) == WAITING_REPLIES - 1
    assert asides.in_flight == 0
    assert not asides.any_waits
