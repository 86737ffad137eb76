"""What every answered way has in common: outboxes, one channel, and the way back to it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from sensors import backoff
from sensors.counters import Counters
from sensors.habits import Habits
from sensors.ways.channel import Answer, Bounds, Rejection
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow, Refused
from tests.eventually import eventually_async
from tests.scripted_channel import ScriptedChannel
from tests.uplinks import carrier_of, publishing

_MOMENT_SECONDS = 0.03  # long enough for what is ready to happen


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_WAIT_SECONDS", 0.05)


def addressed(payload: bytes, device: str = "a") -> bytes:
    return (
        b'{"site":"home","device":"%b","measurement":"m","readings":[' % device.encode()
        + payload
        + b"]}"
    )


async def test_a_reading_leaves_with_its_address_and_is_acknowledged_by_the_answer() -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish(payload=b'{"ts": 1}')
        assert channel.sent == [[addressed(b'{"ts": 1}')]]
        assert device.acknowledged == []
        assert device.uplink.in_flight == 1
        channel.answer()
        await eventually_async(lambda: device.acknowledged == [0])
        assert device.uplink.unfinished == 0
        assert device.counters.published == [0, 1, 0]
        assert device.counters.acknowledged == [0, 1, 0]
        assert device.counters.acknowledgements[1].readings == 1


async def test_a_pack_keeps_its_readings_and_line_protocol_its_own_address() -> None:
    channel = ScriptedChannel()
    lines = Habits(format="line")
    async with publishing(channel) as device, publishing(channel, habits=lines) as other:
        await eventually_async(lambda: device.uplink.connected and other.uplink.connected)
        device.publish(payload=b'[{"ts": 1},{"ts": 2}]', readings=2)
        other.publish(payload=b"m,device=a,site=home x=1 1")
        await eventually_async(lambda: device.acknowledged == [1, 0])
    assert channel.payloads == [
        addressed(b'{"ts": 1},{"ts": 2}'),
        b"m,device=a,site=home x=1 1",
    ]


async def test_what_waits_while_batches_are_on_their_way_goes_as_one_batch() -> None:
    channel = ScriptedChannel(Bounds(3, 65_536, batches_in_flight=2), answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        for _ in range(9):
            device.publish()
        assert [len(batch) for batch in channel.sent] == [1, 1], "no more than two at a time"
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 3)
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 4)
        assert [len(batch) for batch in channel.sent] == [1, 1, 3, 3]


async def test_a_batch_ends_with_the_payload_that_reaches_its_bytes() -> None:
    channel = ScriptedChannel(Bounds(100, 150, batches_in_flight=1), answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        for _ in range(4):
            device.publish(payload=b'{"x": "%b"}' % (b"x" * 40))
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 2)
        assert len(channel.sent[1]) == 2


async def test_the_first_of_a_batch_waits_for_company_where_the_channel_wants_that() -> None:
    channel = ScriptedChannel(Bounds(100, 65_536, 4, gather_seconds=0.05))
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        for _ in range(5):
            device.publish()
        assert channel.sent == []
        await eventually_async(lambda: len(device.acknowledged) == 5)
        assert [len(batch) for batch in channel.sent] == [5]


async def test_a_lost_connection_is_made_again_and_sends_what_has_no_answer_in_order() -> None:
    channel = ScriptedChannel(Bounds(2, 65_536, batches_in_flight=4), answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        for number in range(5):
            device.publish(payload=b'{"ts": %d}' % number)
        channel.answer()
        await eventually_async(lambda: device.acknowledged == [0])
        channel.lose()
        await eventually_async(lambda: not device.uplink.connected)
        assert device.uplink.unfinished == 4
        assert device.uplink.in_flight == 0
        channel.sent.clear()
        channel.answers = True
        await eventually_async(lambda: len(device.acknowledged) == 5)
        assert channel.payloads == [addressed(b'{"ts": %d}' % number) for number in range(1, 5)]
        assert device.acknowledged == [0, 1, 2, 3, 4]
        assert device.counters.republished == [0, 4, 0]
        assert (device.counters.connects, device.counters.lost_connections) == (2, 1)


@pytest.mark.parametrize(
    "failure", [ConnectionLost("gone"), ConnectFailed("refused", "no"), ValueError("a mistake")]
)
async def test_a_failed_send_opens_the_channel_anew_and_sends_again(failure: Exception) -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        channel.fail(failure)
        channel.answers = True
        await eventually_async(lambda: device.acknowledged == [0])
        assert channel.opened == 2


async def test_sends_without_an_answer_end_with_their_connection() -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        device.publish()
        unanswered = channel.waiting[1]
        channel.fail(ConnectionLost("gone"))
        await eventually_async(unanswered.cancelled)
        channel.answers = True
        await eventually_async(lambda: device.acknowledged == [0, 1])


async def test_where_nothing_is_taken_for_now_it_is_sent_again_later() -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish(payload=b'{"ts": 0}')
        channel.fail(NotNow("the store is away", after_seconds=1.0))
        await asyncio.sleep(_MOMENT_SECONDS)
        device.publish(payload=b'{"ts": 1}')
        assert len(channel.sent) == 1, "nothing leaves in the pause"
        await eventually_async(lambda: len(channel.sent) == 2)
        assert channel.sent[1] == [addressed(b'{"ts": 0}'), addressed(b'{"ts": 1}')]
        assert channel.opened == 1
        assert device.counters.kept == 1


async def test_without_a_word_on_when_the_pause_grows() -> None:
    channel, now_s = ScriptedChannel(answers=False), asyncio.get_running_loop().time
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        for number, least_seconds in enumerate((0.025, 0.05, 0.1), start=1):
            failed_s = now_s()
            channel.fail(NotNow("no room"))
            await eventually_async(lambda: len(channel.sent) > number)  # noqa: B023
            assert now_s() - failed_s >= least_seconds
        assert channel.opened == 1


async def test_readings_in_quarantine_are_refused_and_the_others_acknowledged() -> None:
    channel = ScriptedChannel(Bounds(3, 65_536, batches_in_flight=1), answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        pack = device.publish(readings=3, payload=b"[{},{},{}]")
        bad = device.publish(readings=2, payload=b"[{},{}]")
        good = device.publish()
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 2)
        channel.answer(Answer([Rejection(0, 1, "NaN"), Rejection(1, None, "not JSON")]))
        await eventually_async(lambda: good in device.acknowledged)
        assert sorted(device.acknowledged) == [0, pack - 2, pack, good]
        assert sorted(device.refused) == [pack - 1, bad - 1, bad]
        assert device.counters.acknowledged == [0, 4, 0]
        assert device.counters.refused == [0, 3, 0]
        assert device.uplink.unfinished == 0


async def test_one_payload_that_is_never_taken_does_not_come_back_with_the_others() -> None:
    channel = ScriptedChannel(Bounds(3, 65_536, batches_in_flight=1), answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        for _ in range(4):
            device.publish()
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 2)
        channel.fail(Refused("too long", payload=1))
        channel.answers = True
        await eventually_async(lambda: len(device.acknowledged) == 3)
        assert device.acknowledged == [0, 1, 3]
        assert device.refused == [2]


async def test_a_payload_larger_than_the_way_takes_is_refused_before_it_is_sent() -> None:
    channel = ScriptedChannel(Bounds(3, 65_536, 1, payload_bytes=100))
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish(payload=b'{"x": "%b"}' % (b"x" * 100))
        device.publish()
        await eventually_async(lambda: device.acknowledged == [1])
        assert device.refused == [0]
        assert len(channel.payloads) == 1


async def test_at_qos_0_a_reading_is_sent_once_or_dropped() -> None:
    channel = ScriptedChannel(Bounds(10, 65_536, batches_in_flight=1), answers=False)
    channel.refuses = [ConnectFailed("unreachable", "nobody")]
    async with publishing(channel, 0) as device:
        device.publish()
        assert device.dropped == [0]
        assert device.counters.dropped["not_connected"] == [1, 0, 0]
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        for _ in range(101):
            device.publish()
        assert device.counters.dropped["congested"] == [1, 0, 0]
        assert device.uplink.unfinished == 100
        channel.lose()
        await eventually_async(lambda: device.uplink.unfinished == 0)
        assert device.counters.dropped["not_connected"] == [101, 0, 0]
        assert device.counters.published == [1, 0, 0]
        await eventually_async(lambda: device.uplink.connected)
        assert len(channel.sent) == 1, "what had its chance is not sent again"


@pytest.mark.parametrize("answer", [Answer([Rejection(0, 0, "no")]), Refused("no", payload=0)])
async def test_at_qos_0_a_reading_has_ended_when_it_left_whatever_is_answered(
    answer: Answer | Refused,
) -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel, 0) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        unanswered = channel.waiting[0]
        if isinstance(answer, Answer):
            channel.answer(answer)
        else:
            channel.fail(answer)
        await eventually_async(unanswered.done)
        await asyncio.sleep(_MOMENT_SECONDS)
        assert device.counters.published == [1, 0, 0]
        assert (device.counters.refused, device.refused) == ([0, 0, 0], [])
        assert len(channel.sent) == 1


async def test_devices_that_share_a_channel_take_turns_and_get_their_own_answers() -> None:
    channel = ScriptedChannel(Bounds(4, 65_536, batches_in_flight=1), answers=False)
    carrier = carrier_of(channel, Counters())
    async with AsyncExitStack() as devices:
        a, b, c = [
            await devices.enter_async_context(publishing(channel, name=name, carrier=carrier))
            for name in "abc"
        ]
        await eventually_async(lambda: all(one.uplink.connected for one in (a, b, c)))
        for _ in range(5):
            a.publish()
        b.publish()
        c.publish()
        channel.answer()
        await eventually_async(lambda: len(channel.sent) == 2)
        assert channel.sent[1] == [addressed(b'{"x": 1}', device) for device in "abca"]
        channel.answer(Answer([Rejection(1, 0, "no")]))
        await eventually_async(lambda: c.acknowledged == [0])
        assert (a.acknowledged, b.acknowledged, b.refused) == ([0, 1, 2], [], [0])
        assert channel.opened == 1


async def test_the_last_device_of_a_channel_closes_it() -> None:
    channel = ScriptedChannel()
    counters = Counters()
    carrier = carrier_of(channel, counters)
    async with (
        publishing(channel, name="a", carrier=carrier) as a,
        publishing(channel, name="b", carrier=carrier) as b,
    ):
        await eventually_async(lambda: a.uplink.connected and b.uplink.connected)
        await a.uplink.leave()
        assert (a.counters.connected, b.counters.connected) == (0, 1)
        assert channel.closed == 0
        b.publish()
        await eventually_async(lambda: b.acknowledged == [0])
        await b.uplink.leave()
        assert channel.closed == 1
        assert b.counters.connected == 0
        assert (counters.connects, counters.lost_connections) == (1, 0)


async def test_a_connection_that_a_fault_breaks_comes_back_after_its_time() -> None:
    channel = ScriptedChannel()
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        began_s = asyncio.get_running_loop().time()
        device.uplink.break_off(0.15)
        assert channel.aborted == 1
        await eventually_async(lambda: device.counters.lost_connections == 1)
        await eventually_async(lambda: device.uplink.connected)
        assert asyncio.get_running_loop().time() - began_s >= 0.15


async def test_a_device_that_boots_keeps_what_waits_and_comes_back() -> None:
    channel = ScriptedChannel(answers=False)
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        device.uplink.restart(None)
        channel.answers = True
        await eventually_async(lambda: device.acknowledged == [0])
        assert channel.aborted == 1
        assert device.counters.lost_connections == 0


async def test_who_is_refused_tries_again_with_a_spread_and_says_so() -> None:
    channel = ScriptedChannel()
    channel.refuses = [ConnectFailed("refused", "no such key"), ConnectFailed("unreachable", "")]
    async with publishing(channel) as device:
        await eventually_async(lambda: device.uplink.connected)
        assert device.counters.connect_failures["refused"] == 1
        assert device.counters.connect_failures["unreachable"] == 1


async def test_an_opening_that_never_ends_is_given_up() -> None:
    channel = ScriptedChannel()
    channel.silent = True
    async with publishing(channel, timeout_seconds=0.05) as device:
        await eventually_async(lambda: device.counters.connect_failures["timeout"] == 1)
        assert channel.closed == 1
        channel.silent = False
        await eventually_async(lambda: device.uplink.connected)


async def test_a_full_outbox_drops_its_oldest_reading() -> None:
    channel = ScriptedChannel()
    channel.silent = True
    async with publishing(channel, outbox_readings=3) as device:
        for _ in range(5):
            device.publish()
        assert device.dropped == [0, 1]
        assert device.counters.dropped["outbox_full"] == [0, 2, 0]
        assert device.uplink.unfinished_readings == 3
