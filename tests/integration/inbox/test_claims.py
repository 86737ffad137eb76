"""Claims: a row is one worker's at a time, and only what is settled goes."""

import time
from pathlib import Path

import pytest

from ingest.inbox_schema import make_table
from ingest.sources import inbox as inbox_claims
from ingest.sources.inbox import Claim, ClaimBounds
from tests.eventually import eventually
from tests.integration.inbox.conftest import BOUNDS, AnInbox


def ids(claim: Claim | None) -> list[int]:
    return [] if claim is None else [row.id for row in claim.rows]


def test_an_empty_inbox_gives_no_claim(inbox: AnInbox) -> None:
    assert inbox.worker().claim() is None


def test_rows_come_oldest_first_as_they_were_left(inbox: AnInbox) -> None:
    before_ms = time.time() * 1000
    inbox.put(b'{"a": 1}', "grün\n\\".encode(), content_type="application/json")
    inbox.put(b"")

    claim = inbox.worker().claim()

    assert claim is not None
    assert [(row.payload, row.content_type) for row in claim.rows[:2]] == [
        (b'{"a": 1}', "application/json"),
        ("grün\n\\".encode(), "application/json"),
    ]
    assert [row.payload_bytes for row in claim.rows] == [8, 7, 0]
    assert claim.rows[2].content_type is None
    assert all(abs(row.received_ms - before_ms) < 60_000 for row in claim.rows)
    claim.settle([])


def test_what_is_claimed_is_nobody_elses(inbox: AnInbox) -> None:
    inbox.put(*[b"{}"] * 250)
    worker = inbox.worker()

    claims = [worker.claim() for _ in range(4)]

    taken = [one for claim in claims for one in ids(claim)]
    assert [len(ids(claim)) for claim in claims] == [100, 100, 50, 0]
    assert sorted(taken) == inbox.ids()
    for claim in claims[:3]:
        assert claim is not None
        claim.settle([])


def test_only_settled_rows_go_and_the_rest_comes_again(inbox: AnInbox) -> None:
    inbox.put(*[b"{}"] * 20)
    worker = inbox.worker()
    claim = worker.claim()
    assert claim is not None

    claim.settle(ids(claim)[:15])

    again = worker.claim()
    assert again is not None
    assert ids(again) == ids(claim)[15:] == inbox.ids()
    again.settle(ids(again))
    assert inbox.ids() == []


def test_rows_left_meanwhile_are_found_by_the_next_look(inbox: AnInbox) -> None:
    inbox.put(b"{}")
    worker = inbox.worker()
    first = worker.claim()
    inbox.put(b"{}")
    second = worker.claim()

    assert first is not None
    assert second is not None
    assert sorted(ids(first) + ids(second)) == inbox.ids()
    first.settle(ids(first))
    second.settle(ids(second))
    assert inbox.ids() == []


def test_a_claim_holds_no_more_bytes_than_it_may(inbox: AnInbox) -> None:
    inbox.put(*[b"x" * 400] * 10)
    worker = inbox.worker(ClaimBounds(rows=100, bytes=1_000, row_bytes=1_000))

    claim = worker.claim()

    assert claim is not None
    assert len(claim.rows) == 2
    claim.settle(ids(claim))
    again = worker.claim()
    assert ids(again) == inbox.ids()[:2]
    assert again is not None
    again.settle([])


def test_of_a_payload_that_is_too_large_only_the_beginning_is_read(inbox: AnInbox) -> None:
    inbox.put(b"x" * 1_000_000, b"{}")
    claim = inbox.worker(ClaimBounds(rows=100, bytes=1_002, row_bytes=1_000)).claim()

    assert claim is not None
    assert [(len(row.payload), row.payload_bytes) for row in claim.rows] == [
        (1_000, 1_000_000),
        (2, 2),
    ]
    claim.settle([])


def test_on_postgresql_workers_share_and_what_a_lost_one_held_comes_again(
    postgresql_inbox: AnInbox,
) -> None:
    postgresql_inbox.put(*[b"{}"] * 150)
    one, other = postgresql_inbox.worker(), postgresql_inbox.worker()
    lost, kept = one.claim(), other.claim()
    assert lost is not None
    assert kept is not None
    assert not set(ids(lost)) & set(ids(kept))

    lost._connection.invalidate()  # type: ignore[attr-defined]

    again: list[Claim] = []

    def comes_again() -> bool:
        # The server notices only after a while that nobody is there any more.
        again.extend(claim for claim in [other.claim()] if claim is not None)
        return bool(again)

    eventually(comes_again)
    assert ids(again[0]) == ids(lost)
    for claim in (*again, kept):
        claim.settle(ids(claim))
    assert postgresql_inbox.ids() == []


def test_on_postgresql_a_row_that_comes_back_far_behind_is_found_again(
    postgresql_inbox: AnInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_claims, "_LATE_ROWS", 0)
    postgresql_inbox.put(*[b"{}"] * 150)
    one, other = postgresql_inbox.worker(), postgresql_inbox.worker()
    lost, kept = one.claim(), other.claim()
    assert lost is not None
    assert kept is not None
    kept.settle(ids(kept))
    assert other.claim() is None

    lost._connection.invalidate()  # type: ignore[attr-defined]

    found: list[int] = []

    def finds() -> bool:
        again = other.claim()
        if again is not None:
            found.extend(ids(again))
            again.settle([])
        return again is not None

    eventually(finds, what="a claim on what came back")
    assert found == ids(lost)


def test_on_sqlite_one_ingest_takes_rows_and_another_stands_by(sqlite_inbox: AnInbox) -> None:
    sqlite_inbox.put(*[b"{}"] * 150)
    one, other = sqlite_inbox.worker(), sqlite_inbox.worker()
    claim = one.claim()
    assert ids(claim) == sqlite_inbox.ids()[:100]
    assert other.claim() is None

    one.close()

    assert ids(other.claim()) == ids(claim)
    assert BOUNDS.rows == 100


def test_a_row_of_a_foreign_sender_that_is_no_utf_8_is_read_as_it_is(
    sqlite_inbox: AnInbox,
) -> None:
    with sqlite_inbox.owner.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO denyut_inbox (payload, content_type)"
            " VALUES (CAST(x'FF007B' AS TEXT), CAST(x'FE' AS TEXT))"
        )

    claim = sqlite_inbox.worker().claim()

    assert claim is not None
    assert claim.rows[0].payload == b"\xff\x00{"
    assert claim.rows[0].content_type == "\N{REPLACEMENT CHARACTER}"


def test_what_was_claimed_in_one_file_is_not_deleted_in_another(
    sqlite_inbox: AnInbox, tmp_path: Path
) -> None:
    sqlite_inbox.put(b"old")
    worker = sqlite_inbox.worker()
    claim = worker.claim()
    assert claim is not None

    for file in tmp_path.glob("in box.sqlite*"):
        file.unlink()
    make_table(sqlite_inbox.url, "A_URL")
    sqlite_inbox.put(b"new")
    claim.settle(ids(claim))

    assert sqlite_inbox.ids() == ids(claim), "it has the number of the old one"
    again = worker.claim()
    assert again is not None
    assert [row.payload for row in again.rows] == [b"new"]
    assert sqlite_inbox.worker().claim() is None, "the lock was made anew as well"


def test_whatever_numbers_a_foreign_sender_gives_its_rows_are_claimed(
    sqlite_inbox: AnInbox,
) -> None:
    with sqlite_inbox.owner.begin() as connection:
        for number in (-5, 0, 2**63 - 1):
            connection.exec_driver_sql(
                "INSERT INTO denyut_inbox (id, payload) VALUES (?, '{}')", (number,)
            )

    assert ids(sqlite_inbox.worker().claim()) == [-5, 0, 2**63 - 1]
