import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.losses import Gap, losses
from telemetry.store import StoredSequence

BOOT_MS = 1_000_000


def stored(numbers: list[int], boot_ms: int = BOOT_MS) -> list[StoredSequence]:
    """Readings of one boot, each a second after the one with the number before it."""
    return [
        StoredSequence("hall", "d1", "weather", boot_ms + 1_000 * seq, boot_ms, seq)
        for seq in numbers
    ]


def test_a_gap_is_what_lies_between_two_stored_numbers() -> None:
    found = losses(stored([3, 4, 7, 8, 10]), start_ms=BOOT_MS + 1)
    assert found.gaps == [
        Gap(BOOT_MS, 9, 9, BOOT_MS + 8_000, BOOT_MS + 10_000),
        Gap(BOOT_MS, 5, 6, BOOT_MS + 4_000, BOOT_MS + 7_000),
    ]
    assert (found.stored, found.missing) == (5, 3)


def test_a_boot_within_the_range_begins_at_0_and_one_before_it_with_what_is_stored() -> None:
    assert losses(stored([2, 3]), start_ms=BOOT_MS).gaps == [
        Gap(BOOT_MS, 0, 1, None, BOOT_MS + 2_000)
    ]
    assert losses(stored([2, 3]), start_ms=BOOT_MS + 1).gaps == []


def test_no_gap_lies_between_two_boots() -> None:
    later_ms = BOOT_MS + 60_000
    assert losses(stored([0, 1]) + stored([0, 2], later_ms), BOOT_MS).missing == 1


def test_a_number_that_is_stored_twice_is_missing_nothing() -> None:
    twice = [*stored([0, 1]), StoredSequence("hall", "d1", "door", BOOT_MS, BOOT_MS, 1)]
    assert losses(twice, BOOT_MS).gaps == []


def test_nothing_stored_is_no_gap() -> None:
    assert losses([], BOOT_MS) == losses(iter(()), 0)
    assert losses([], BOOT_MS).missing == 0


@pytest.mark.parametrize("seq", [2**63 - 1, 2**44])
def test_numbers_that_nobody_counts_up_to_do_no_harm(seq: int) -> None:
    odd = StoredSequence("hall", "d1", "weather", 9_000_000_000_000, BOOT_MS, seq)
    others = [
        StoredSequence("hall", "d1", "weather", 1, boot_ms, seq) for boot_ms in (BOOT_MS + 1, 2)
    ]
    found = losses([odd, *others], 0)
    assert found.gaps[0] == Gap(BOOT_MS, 0, seq - 1, None, 9_000_000_000_000)
    assert found.missing <= 2**63 - 1


@given(st.sets(st.integers(0, 200), min_size=1), st.randoms(use_true_random=False))
def test_stored_and_missing_add_up_to_the_greatest_number(
    numbers: set[int], order: random.Random
) -> None:
    shuffled = list(numbers)
    order.shuffle(shuffled)
    found = losses(stored(shuffled), BOOT_MS)
    assert found.stored + found.missing == max(numbers) + 1
    missing = {seq for gap in found.gaps for seq in range(gap.first, gap.last + 1)}
    assert missing == set(range(max(numbers))) - numbers
