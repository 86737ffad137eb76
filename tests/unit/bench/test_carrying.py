"""A lane's parcels: in order, as many at a time as it allows, and again after it broke."""

import asyncio
from collections.abc import Sequence

from bench.compare.carrying import Carrying
from bench.compare.corpus import Parcel
from bench.compare.lanes import LaneLost


def parcels(count: int, *, first: int = 0) -> list[Parcel]:
    return [Parcel(0, number, 1, b"%d" % number) for number in range(first, first + count)]


class ALane:
    """Answers at once, but for the sendings that are to fail."""

    batch_payloads = 2
    batch_bytes = 1_000
    batches_in_flight = 2
    gather_seconds = 0.0

    def __init__(self, failing: Sequence[int] = ()) -> None:
        self.sent: list[list[bytes]] = []
        self.opened = self.most_at_once = self._at_once = 0
        self._failing = failing

    async def open(self) -> None:
        self.opened += 1

    async def send(self, payloads: Sequence[bytes]) -> None:
        self.sent.append(list(payloads))
        number = len(self.sent) - 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0.001)
        self._at_once -= 1
        if number in self._failing:
            raise LaneLost("as told")

    async def close(self) -> None:
        pass


async def test_all_of_a_supply_is_carried_in_order_and_no_more_at_once_than_allowed() -> None:
    lane = ALane()
    carrying = Carrying(lane, parcels(9))
    running = asyncio.ensure_future(carrying.run())
    await carrying.until_supplied()
    carrying.complete()
    await running

    assert [one for batch in lane.sent for one in batch] == [b"%d" % n for n in range(9)]
    assert [one.first for one in carrying.settled] == list(range(9))
    assert lane.most_at_once == 2


async def test_what_has_no_answer_is_sent_again_in_order_and_before_what_is_new() -> None:
    lane = ALane(failing=[0])
    carrying = Carrying(lane)
    carrying.add(parcels(6))
    carrying.complete()
    await carrying.run()

    again = [one for batch in lane.sent[2:] for one in batch]
    assert again == [b"%d" % n for n in range(6)]
    assert sorted(one.first for one in carrying.settled) == list(range(6))
    assert (lane.opened, carrying.reopened) == (1, 1)


async def test_nothing_is_taken_from_the_supply_once_the_time_is_over() -> None:
    lane = ALane()
    carrying = Carrying(lane, parcels(1_000))
    carrying.complete()
    await carrying.run()

    assert lane.sent == []
    assert carrying.unfinished == []


async def test_a_batch_gathers_for_as_long_as_its_lane_says() -> None:
    lane = ALane()
    lane.gather_seconds = 0.05
    carrying = Carrying(lane)
    running = asyncio.ensure_future(carrying.run())
    carrying.add(parcels(1))
    await asyncio.sleep(0.01)
    carrying.add(parcels(1, first=1))
    assert lane.sent == []
    await asyncio.sleep(0.05)
    carrying.complete()
    await running

    assert lane.sent == [[b"0", b"1"]]
