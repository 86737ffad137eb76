"""The outbox: what becomes of readings by the answers that come, without anybody who gives them."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from sensors.message import Message
from sensors.outbox import PAUSE_SECONDS, Outbox, Outcome

WINDOW = 20


def message(seq: int) -> Message:
    return Message(seq, 0, 0, "m", b"t", b"p", 0, seq)


def filled(count: int, capacity: int = 1000) -> Outbox:
    outbox = Outbox(capacity)
    for seq in range(count):
        outbox.add(message(seq))
    return outbox


class Shelf:
    """A spill in memory; it takes no readings at all once it is full."""

    def __init__(self, *left: int) -> None:
        self.there = {number: message(number) for number in left}
        self.full = False
        self.fetched: list[int] = []

    def write(self, written: Message) -> Message:
        if not self.full:
            self.there[written.number] = written
        return written

    def holds(self, message: Message) -> bool:
        return message.number in self.there

    def fetch(self, numbers: "array[int]") -> list[Message]:
        self.fetched.append(len(numbers))
        return [self.there[number] for number in numbers if number in self.there]


def send_all(outbox: Outbox, now_s: float = 0.0, window: int = WINDOW) -> dict[int, int]:
    """Send what may be sent; return packet ids by sequence number, in order of sending."""
    sent = {}
    while entry := outbox.next_to_send(now_s, window):
        sent[entry[1].seq] = entry[0]
    return sent


def test_readings_leave_oldest_first_and_at_most_a_window_of_them() -> None:
    sent = send_all(filled(30))
    assert list(sent) == list(range(WINDOW))
    assert len(set(sent.values())) == WINDOW
    assert len(send_all(filled(30), window=5)) == 5


def test_an_acknowledged_reading_is_gone_and_makes_room_for_the_next() -> None:
    outbox = filled(30)
    sent = send_all(outbox)
    acknowledged = outbox.answered(sent[3], Outcome.ACKNOWLEDGED, 0.0)
    assert acknowledged is not None
    assert acknowledged.seq == 3
    assert len(outbox) == 29
    assert list(send_all(outbox)) == [20]


def test_half_a_handshake_is_not_yet_an_acknowledgement() -> None:
    outbox = filled(1)
    sent = send_all(outbox)
    assert outbox.answered(sent[0], Outcome.ONGOING, 0.0) is not None
    assert len(outbox) == 1
    assert outbox.answered(sent[0], Outcome.ACKNOWLEDGED, 0.0) is not None
    assert len(outbox) == 0


def test_a_connection_lost_amid_a_handshake_publishes_again() -> None:
    outbox = filled(1)
    outbox.answered(send_all(outbox)[0], Outcome.ONGOING, 0.0)
    outbox.connection_lost()
    assert list(send_all(outbox)) == [0]


def test_a_refused_reading_is_gone() -> None:
    outbox = filled(1)
    assert outbox.answered(send_all(outbox)[0], Outcome.REFUSED, 0.0) is not None
    assert len(outbox) == 0


def test_a_reading_that_nobody_takes_now_is_sent_after_a_pause() -> None:
    outbox = filled(3)
    sent = send_all(outbox, now_s=5.0)
    for seq in (0, 1, 2):
        outbox.answered(sent[seq], Outcome.KEPT, 5.0)
    assert send_all(outbox, now_s=5.0 + PAUSE_SECONDS - 0.1) == {}
    probe = send_all(outbox, now_s=5.0 + PAUSE_SECONDS)
    assert list(probe) == [0], "one goes alone, to see whether anybody takes it"
    outbox.answered(probe[0], Outcome.ACKNOWLEDGED, 6.0)
    assert list(send_all(outbox, now_s=6.0)) == [1, 2]


def test_an_unknown_packet_id_means_nothing() -> None:
    outbox = filled(1)
    assert outbox.answered(9999, Outcome.ACKNOWLEDGED, 0.0) is None
    assert len(outbox) == 1


def test_what_is_put_back_alone_leaves_again_before_all_that_is_later() -> None:
    outbox = filled(30)
    sent = send_all(outbox)
    outbox.put_back([sent[7], sent[4]])
    assert outbox.in_flight == WINDOW - 2
    assert list(send_all(outbox)) == [4, 7]


def test_a_full_outbox_drops_its_oldest_waiting_reading() -> None:
    outbox = filled(10, capacity=10)
    dropped = outbox.add(message(10))
    assert dropped is not None
    assert dropped.seq == 0
    assert len(outbox) == 10


def test_what_is_in_flight_is_not_dropped_for_a_new_reading() -> None:
    outbox = filled(30, capacity=30)
    send_all(outbox)
    dropped = outbox.add(message(30))
    assert dropped is not None
    assert dropped.seq == 20


def test_a_lost_connection_sends_the_unacknowledged_again_in_order() -> None:
    outbox = filled(30)
    sent = send_all(outbox)
    outbox.answered(sent[1], Outcome.ACKNOWLEDGED, 0.0)
    outbox.connection_lost()
    assert outbox.in_flight == 0
    assert list(send_all(outbox))[:3] == [0, 2, 3]


def test_packet_ids_leave_the_small_ones_to_the_status_and_never_clash() -> None:
    outbox = Outbox(100)
    outbox.add(message(0))
    first = outbox.next_to_send(0.0, WINDOW)
    assert first is not None
    seen = set()
    for seq in range(1, 70_000):
        outbox.add(message(seq))
        entry = outbox.next_to_send(0.0, WINDOW)
        assert entry is not None
        assert entry[0] != first[0]
        assert 16 <= entry[0] <= 65_535
        seen.add(entry[0])
        outbox.answered(entry[0], Outcome.ACKNOWLEDGED, 0.0)
    assert len(seen) == 65_535 - 16


def test_with_a_spill_nothing_is_dropped_and_the_order_is_kept() -> None:
    shelf = Shelf()
    outbox = Outbox(25, shelf)
    for seq in range(500):
        assert outbox.add(shelf.write(message(seq))) is None
    assert len(outbox) == 500
    order: list[int] = []
    while sent := send_all(outbox):
        order += sent
        for packet_id in sent.values():
            outbox.answered(packet_id, Outcome.ACKNOWLEDGED, 0.0)
    assert order == list(range(500))
    assert len(outbox) == 0
    assert max(shelf.fetched) <= 25, "no more than the memory's share at a time"


def test_what_an_earlier_process_left_goes_before_what_is_new_within_one_window() -> None:
    shelf = Shelf(3, 5, 9)
    outbox = Outbox(100, shelf)
    outbox.take_over(array("Q", [3, 5, 9]))
    for seq in range(20, 60):
        outbox.add(shelf.write(message(seq)))
    sent = send_all(outbox)
    assert list(sent) == [3, 5, 9, *range(20, 37)]
    assert outbox.in_flight == WINDOW


def test_an_interrupted_publishing_of_spilled_readings_is_taken_up_in_order() -> None:
    shelf = Shelf()
    outbox = Outbox(5, shelf)
    for seq in range(40):
        outbox.add(shelf.write(message(seq)))
    sent = send_all(outbox)
    outbox.answered(sent[7], Outcome.ACKNOWLEDGED, 0.0)
    outbox.connection_lost()
    assert list(send_all(outbox)) == [seq for seq in range(21) if seq != 7]


def test_where_the_spill_is_full_the_oldest_in_memory_is_dropped() -> None:
    shelf = Shelf()
    outbox = Outbox(10, shelf)
    for seq in range(10):
        outbox.add(shelf.write(message(seq)))
    shelf.full = True
    dropped = outbox.add(message(10))
    assert dropped is not None
    assert dropped.seq == 0
    assert list(send_all(outbox)) == list(range(1, 11))


def test_what_must_be_forgotten_goes_from_memory_and_spill_but_not_out_of_flight() -> None:
    shelf = Shelf()
    outbox = Outbox(30, shelf)
    for seq in range(60):
        outbox.add(shelf.write(message(seq)))
    flying = send_all(outbox, window=5)
    assert [one.seq for one in outbox.forget(40)] == list(range(5, 41))
    assert len(outbox) == 5 + 19
    outbox.connection_lost()
    assert list(send_all(outbox)) == [*flying, *range(41, 56)]


def test_what_cannot_be_read_again_is_left_out() -> None:
    shelf = Shelf(1, 2, 3)
    outbox = Outbox(1, shelf)
    outbox.take_over(array("Q", [1, 2, 3]))
    del shelf.there[1], shelf.there[2]
    assert list(send_all(outbox)) == [3]
    assert len(outbox) == 1


@given(st.data())
def test_every_reading_ends_exactly_once_whatever_the_other_side_does(data: st.DataObject) -> None:
    shelf = Shelf() if data.draw(st.booleans()) else None
    outbox = Outbox(40, shelf)
    offered, ended, now_s = 0, [], 0.0
    flying: dict[int, int] = {}
    for _ in range(data.draw(st.integers(1, 60))):
        match data.draw(st.sampled_from(["add", "send", "answer", "lose", "wait"])):
            case "add":
                for _ in range(data.draw(st.integers(1, 30))):
                    made = message(offered) if shelf is None else shelf.write(message(offered))
                    dropped = outbox.add(made)
                    offered += 1
                    ended += [dropped.seq] if dropped else []
            case "send":
                sent = send_all(outbox, now_s)
                assert list(sent) == sorted(sent)
                flying |= {packet_id: seq for seq, packet_id in sent.items()}
            case "answer" if flying:
                packet_id = data.draw(st.sampled_from(sorted(flying)))
                outcome = data.draw(
                    st.sampled_from([Outcome.ACKNOWLEDGED, Outcome.KEPT, Outcome.REFUSED])
                )
                answered = outbox.answered(packet_id, outcome, now_s)
                assert answered is not None
                assert answered.seq == flying.pop(packet_id)
                ended += [answered.seq] if outcome is not Outcome.KEPT else []
            case "lose":
                outbox.connection_lost()
                flying.clear()
            case "wait":
                now_s += PAUSE_SECONDS
        assert outbox.in_flight == len(flying) <= WINDOW
        assert len(outbox) + len(ended) == offered
    assert len(set(ended)) == len(ended)
