"""A batch knows whose readings it holds, and ingest knows which came before."""

from ingest.batch import Batch, RecentlySeen
from ingest.message import Message, Receipt, Receipts, settle
from telemetry.reading import Reading


class Numbered(Receipt):
    """A receipt that can be told from others."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def reading(seq: int | None, *, time_ms: int = 0, device: str = "node-1") -> Reading:
    return Reading("s", device, "m", time_ms, {"a": 1.0}, None if seq is None else 1, seq)


def message(qos: int = 1, receipt: Receipt | None = None) -> Message:
    return Message("telemetry/s/node-1/m", b"12345", qos, 0, receipt=receipt)


def test_the_message_of_a_reading_is_found_by_its_place() -> None:
    batch = Batch()
    first, second, third = message(), message(), message()
    batch.add(first, [reading(0), reading(1)], 0)
    batch.add(second, [reading(2)], 0)
    batch.add(third, [reading(3), reading(4)], 0)

    assert [batch.message_of(index) for index in range(5)] == [first, first, second, third, third]
    assert batch.payload_bytes == 15


def test_the_latency_of_repeats_is_kept_apart() -> None:
    batch = Batch()
    batch.add(message(2), [reading(0, time_ms=5)], 0)
    batch.add(message(2), [reading(0, time_ms=6)], 1)

    assert batch.times_ms == {"0": [], "1": [], "2": [5], "late": [6]}
    assert batch.by_qos == [0, 0, 2]


def test_two_readings_of_one_series_and_time_are_counted_unless_one_is_a_repeat() -> None:
    batch = Batch()
    batch.add(message(), [reading(0, time_ms=5), reading(1, time_ms=5)], 0)
    batch.add(message(), [reading(2, time_ms=6), reading(2, time_ms=6)], 1)
    batch.add(message(), [reading(0, time_ms=5, device="node-2")], 0)

    assert batch.overwritten() == 1


def test_a_repeat_is_recognised_while_it_is_recent() -> None:
    seen = RecentlySeen(remembered=10)

    assert seen.count_repeats([reading(0), reading(1)]) == 0
    assert seen.count_repeats([reading(1), reading(2)]) == 1
    seen.count_repeats([reading(seq) for seq in range(100, 111)])
    assert seen.count_repeats([reading(0)]) == 1
    seen.count_repeats([reading(seq) for seq in range(200, 211)])
    seen.count_repeats([reading(seq) for seq in range(300, 311)])
    assert seen.count_repeats([reading(1)]) == 0


def test_readings_without_sequence_are_never_repeats() -> None:
    seen = RecentlySeen()

    assert seen.count_repeats([reading(None)]) == 0
    assert seen.count_repeats([reading(None)]) == 0


def test_receipts_are_honoured_in_order_even_when_settled_out_of_order() -> None:
    sent: list[int] = []
    receipts = Receipts[Numbered](lambda ready: sent.extend(one.number for one in ready))
    first, second, third = (receipts.owe(Numbered(number)) for number in (1, 2, 3))

    settle([second])
    assert sent == []
    settle([first])
    assert sent == [1, 2]
    settle([third])
    assert sent == [1, 2, 3]


def test_a_receipt_waits_for_all_its_parts() -> None:
    sent: list[int] = []
    receipts = Receipts[Numbered](lambda ready: sent.extend(one.number for one in ready))
    receipt = receipts.owe(Numbered(1))
    receipt.pending += 1

    settle([receipt])
    assert sent == []
    settle([receipt])
    assert sent == [1]


def test_after_the_connection_is_gone_nothing_is_acknowledged() -> None:
    sent: list[int] = []
    receipts = Receipts[Numbered](lambda ready: sent.extend(one.number for one in ready))
    receipt = receipts.owe(Numbered(1))
    receipts.forget()

    settle([receipt])

    assert sent == []
