"""Rows of an inbox on their way into a real store: what goes when, and what a database may do."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from ingest.inbox_schema import make_table
from ingest.quarantine import QuarantineRecord
from ingest.sources.database import DatabaseSource
from ingest.sources.inbox import PostgresClaim, PostgresInbox
from stack.postgresql import Postgresql
from telemetry.store import Selection, StoreUnavailable
from tests.eventually import eventually_async
from tests.ingest_parts import Parts
from tests.integration.inbox.conftest import AnInbox, locked

NOW_MS = time.time_ns() // 1_000_000


def payload(seq: int) -> bytes:
    return msgspec.json.encode(
        {
            "site": "hall",
            "device": "d-1",
            "measurement": "weather",
            "ts": NOW_MS + seq,
            "values": {"a": 1.0},
            "boot": NOW_MS,
            "seq": seq,
        }
    )


class Ingest:
    """What there is of an ingest around a database source."""

    def __init__(self, folder: Path, inbox: AnInbox, **changed: object) -> None:
        folder.mkdir(exist_ok=True)
        self.parts = Parts(
            folder,
            **{
                "client_id": folder.name,
                "database_url": inbox.url,
                "database_rows": 50,
                "database_timeout_seconds": 1.0,
            }
            | changed,
        )
        self.source = DatabaseSource(
            self.parts.settings, inbox.url, self.parts.intake, self.parts.tally
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Ingest"]:
        """Take rows meanwhile, and stop as ingest does."""
        async with self.parts.working():
            tasks = [asyncio.create_task(part) for part in self.source.parts().values()]
            try:
                yield self
            finally:
                self.source.pause()
                self.parts.store.failure = None
                await self.parts.pipeline.drain()
                await self.source.disconnect()
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    def stored(self) -> list[int]:
        """The numbers of the readings in the store."""
        everything = Selection(start_ms=0, stop_ms=2**62)
        return sorted(one.seq or 0 for one in self.parts.store.readings(everything, limit=100_000))

    def quarantined(self) -> list[QuarantineRecord]:
        return list(self.parts.quarantine.records())


async def test_rows_are_stored_and_then_gone(tmp_path: Path, inbox: AnInbox) -> None:
    inbox.put(*[payload(seq) for seq in range(120)])

    async with Ingest(tmp_path / "ingest-1", inbox).working() as ingest:
        await eventually_async(lambda: not inbox.ids())
        assert ingest.stored() == list(range(120))
        inbox.put(payload(120))
        await eventually_async(lambda: not inbox.ids())

    assert ingest.stored() == list(range(121))
    assert ingest.source.problem is None
    assert ingest.parts.tally.messages_by_way["database"] == 121
    assert ingest.parts.tally.acknowledged_messages == 121
    assert sum(ingest.parts.tally.repeated) == 0


async def test_a_row_stays_until_its_reading_is_durable(tmp_path: Path, inbox: AnInbox) -> None:
    ingest = Ingest(tmp_path / "ingest-1", inbox, spool_after_ms=600_000)
    ingest.parts.store.failure = StoreUnavailable("away")
    inbox.put(*[payload(seq) for seq in range(3)])

    async with ingest.working():
        await eventually_async(lambda: len(ingest.parts.store.called_s) > 2)
        assert len(inbox.ids()) == 3
        ingest.parts.store.failure = None
        await eventually_async(lambda: not inbox.ids())

    assert ingest.stored() == [0, 1, 2]


async def test_bad_rows_go_to_quarantine_and_the_others_on(tmp_path: Path, inbox: AnInbox) -> None:
    ingest = Ingest(tmp_path / "ingest-1", inbox, payload_bytes=1_000)
    inbox.put(
        payload(0),
        b"this is not JSON",
        b"",
        b"x" * 100_000,
        b'{"ts": 1, "values": {"a": 1}}',
        payload(1),
    )

    async with ingest.working():
        await eventually_async(lambda: not inbox.ids())

    assert ingest.stored() == [0, 1]
    reasons = {bytes(one.payload[:4]): one.reason for one in ingest.quarantined()}
    assert "100000 bytes is too large" in reasons[b"xxxx"]
    assert len(reasons) == 4
    assert max(len(one.payload) for one in ingest.quarantined()) == 1_000


async def test_several_ingests_take_no_row_twice(tmp_path: Path, inbox: AnInbox) -> None:
    async with AsyncExitStack() as running:
        ingests = [
            await running.enter_async_context(
                Ingest(tmp_path / f"ingest-{number}", inbox, database_rows=10).working()
            )
            for number in range(3)
        ]
        for start in range(0, 1_000, 50):
            inbox.put(*[payload(seq) for seq in range(start, start + 50)])
            await asyncio.sleep(0)
        await eventually_async(lambda: not inbox.ids(), deadline_seconds=30)

    taken = [ingest.stored() for ingest in ingests]
    assert sorted(seq for seqs in taken for seq in seqs) == list(range(1_000))
    assert sum(1 for seqs in taken if seqs) == (1 if inbox.is_sqlite else 3)


async def test_a_locked_table_is_a_problem_and_nothing_is_lost_or_taken_twice(
    tmp_path: Path, inbox: AnInbox
) -> None:
    inbox.put(*[payload(seq) for seq in range(10)])
    async with AsyncExitStack() as running:
        with locked(inbox):
            ingest = Ingest(tmp_path / "ingest-1", inbox)
            await running.enter_async_context(ingest.working())
            await eventually_async(lambda: "lock" in (ingest.source.problem or ""))
        await eventually_async(lambda: not inbox.ids(), deadline_seconds=20)
        await eventually_async(lambda: ingest.source.problem is None)

    assert ingest.stored() == list(range(10))
    assert sum(ingest.parts.tally.repeated) == 0


async def test_rows_that_cannot_be_deleted_are_a_problem_and_come_again_ever_more_slowly(
    tmp_path: Path, postgresql_inbox: AnInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = PostgresInbox.claim
    claimed_s: list[float] = []

    def claim_slowly(self: PostgresInbox) -> PostgresClaim | None:
        found = claim(self)
        if found is None:
            # So that a row is held when this look begins, and no more when its answer is heard.
            time.sleep(0.3)
        else:
            claimed_s.append(time.monotonic())
        return found

    monkeypatch.setattr(PostgresInbox, "claim", claim_slowly)
    claimer = sa.make_url(postgresql_inbox.url.value).username
    with postgresql_inbox.owner.begin() as connection:
        connection.exec_driver_sql(f"REVOKE DELETE ON denyut_inbox FROM {claimer}")
    postgresql_inbox.put(payload(0))

    patient = Ingest(
        tmp_path / "ingest-1",
        postgresql_inbox,
        database_timeout_seconds=10.0,
        database_poll_ms=20,
    )
    async with patient.working() as ingest:
        await eventually_async(lambda: "permission denied" in (ingest.source.problem or ""))
        while len(claimed_s) < 6:
            assert "permission denied" in (ingest.source.problem or "")
            await asyncio.sleep(0)
        # Also where a look was under way already, which spares one pause.
        assert claimed_s[5] - claimed_s[0] > 1.2

        with postgresql_inbox.owner.begin() as connection:
            connection.exec_driver_sql(f"GRANT DELETE ON denyut_inbox TO {claimer}")
        await eventually_async(lambda: not postgresql_inbox.ids())
        await eventually_async(lambda: ingest.source.problem is None)
    assert ingest.stored() == [0]


def remove_files(folder: Path) -> None:
    for file in folder.glob("in box.sqlite*"):
        file.unlink()


async def test_a_file_that_was_replaced_is_noticed_on_both_sides(
    tmp_path: Path, sqlite_inbox: AnInbox
) -> None:
    async with Ingest(tmp_path / "ingest-1", sqlite_inbox).working() as ingest:
        sqlite_inbox.put(payload(0), payload(1))
        await eventually_async(lambda: ingest.stored() == [0, 1])

        remove_files(tmp_path)
        await eventually_async(lambda: "unable to open" in (ingest.source.problem or ""))
        make_table(sqlite_inbox.url, "A_URL")
        sqlite_inbox.put(payload(2))

        await eventually_async(lambda: ingest.stored() == [0, 1, 2])
        await eventually_async(lambda: ingest.source.problem is None)


async def test_an_absent_database_is_a_problem_until_it_is_there(
    tmp_path: Path, sqlite_inbox: AnInbox
) -> None:
    path = tmp_path / "in box.sqlite"
    sqlite_inbox.put(payload(0))
    sqlite_inbox.close()
    path.rename(tmp_path / "elsewhere")

    async with Ingest(tmp_path / "ingest-1", sqlite_inbox).working() as ingest:
        await eventually_async(lambda: "unable to open" in (ingest.source.problem or ""))
        assert not path.exists()
        (tmp_path / "elsewhere").rename(path)
        await eventually_async(lambda: ingest.stored() == [0])
        await eventually_async(lambda: ingest.source.problem is None)


async def test_a_database_without_the_table_is_a_problem_in_its_own_words(
    tmp_path: Path, inbox: AnInbox
) -> None:
    inbox.table.drop(inbox.owner)

    async with Ingest(tmp_path / "ingest-1", inbox).working() as ingest:
        await eventually_async(lambda: "denyut_inbox" in (ingest.source.problem or ""))


@contextmanager
def halted(server: Postgresql, application: str) -> Iterator[None]:
    """Let the server's side of an application's connections stand still."""
    with server.connect() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [application]
        ).fetchall()
    assert found
    for (pid,) in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in found:
            os.kill(pid, signal.SIGCONT)


async def test_a_server_that_stands_still_is_a_problem_until_it_goes_on(
    tmp_path: Path, postgresql: Postgresql, postgresql_inbox: AnInbox
) -> None:
    async with Ingest(tmp_path / "ingest-1", postgresql_inbox).working() as ingest:
        await eventually_async(lambda: ingest.source.problem is None)
        with halted(postgresql, "denyut ingest-1"):
            await eventually_async(lambda: ingest.source.problem == "the database is silent")
        postgresql_inbox.put(payload(0))
        await eventually_async(lambda: ingest.stored() == [0])
        assert ingest.source.problem is None
