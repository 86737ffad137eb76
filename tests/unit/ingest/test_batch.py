"""A batch knows whose readings it holds, and receipts are honoured when all is durable."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import Batch
from ingest.message import Message, Receipt, Receipts, settle
from ingest.series import AllSeries
from telemetry.lineprotocol import format_line
from telemetry.reading import Reading

SERIES = AllSeries()


class Numbered(Receipt):
    """A receipt that can be told from others."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def reading(seq: int | None, *, time_ms: int = 0, device: str = "node-1") -> Reading:
    return Reading("s", device, "m", time_ms, {"a": 1.0}, None if seq is None else 1, seq)


def add(batch: Batch, *readings: Reading, qos: int = 1, repeats: int = 0) -> Message:
    """Let the readings of one message join a batch."""
    told = message(qos)
    for one in readings:
        batch.note_times(SERIES.of(one.site, one.device, one.measurement), [one.time_ms])
    lines = [format_line(one).encode() for one in readings]
    batch.add(told, lines, [one.time_ms for one in readings], repeats)
    return told


def message(qos: int = 1, receipt: Receipt | None = None) -> Message:
    return Message("telemetry/s/node-1/m", b"12345", qos, 0, receipt=receipt)


def test_the_message_of_a_reading_is_found_by_its_place() -> None:
    batch = Batch()
    first = add(batch, reading(0), reading(1))
    second = add(batch, reading(2))
    third = add(batch, reading(3), reading(4))

    assert [batch.message_of(index) for index in range(5)] == [first, first, second, third, third]
    assert batch.payload_bytes == 15


def test_a_batch_is_divided_where_each_series_has_ten_readings_and_no_two_of_one_time() -> None:
    few, many, again = Batch(), Batch(), Batch()
    for number in range(10):
        for device in ("a", "b"):
            add(few, reading(number, time_ms=number, device=f"{device}-{number % 2}"))
            add(many, reading(number, time_ms=number, device=device))
            add(again, reading(number, time_ms=min(number, 8), device=device))

    assert many.divisible
    assert not few.divisible
    assert not again.divisible


def test_the_latency_of_repeats_is_kept_apart() -> None:
    batch = Batch()
    add(batch, reading(0, time_ms=5), qos=2)
    add(batch, reading(0, time_ms=6), qos=2, repeats=1)

    assert batch.times_ms == {"0": [], "1": [], "2": [5], "late": [6]}
    assert batch.by_qos == [0, 0, 2]


def test_two_readings_of_one_series_and_time_are_counted_unless_one_is_a_repeat() -> None:
    batch = Batch()
    add(batch, reading(0, time_ms=5), reading(1, time_ms=5))
    add(batch, reading(2, time_ms=6), reading(2, time_ms=6), repeats=1)
    add(batch, reading(0, time_ms=5, device="node-2"))

    assert batch.overwritten() == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=20))
def test_overwritten_are_all_but_one_identity_of_each_series_and_time(
    told: list[tuple[int, int, bool]],
) -> None:
    batch = Batch()
    for time_ms, seq, is_other in told:
        add(batch, reading(seq, time_ms=time_ms, device="node-2" if is_other else "node-1"))

    slots = {(is_other, time_ms) for time_ms, _seq, is_other in told}
    assert batch.overwritten() == len(set(told)) - len(slots)


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
