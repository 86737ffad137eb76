"""The sensors' side of the inbox: a batch is committed before its answer, failures are named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingest import inbox_schema
from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED
from sensors.ways.database import DatabaseChannel, database_channel
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow, Refused
from stack.local import LocalStack
from telemetry.inbox import parse_url
from telemetry.settings import Secret
from tests.integration.inbox.conftest import AnInbox, locked


def _channel(url: Secret) -> DatabaseChannel:
    settings = SensorsSettings.load(
        {}, fleet_key=Secret("hush"), database_url=url, connect_timeout_seconds=2.0
    )
    return database_channel(settings)()


@asynccontextmanager
async def opened(url: Secret) -> AsyncIterator[DatabaseChannel]:
    channel = _channel(url)
    try:
        await channel.open(lambda _why: None)
        yield channel
    finally:
        await channel.close()


def payloads(inbox: AnInbox) -> list[str]:
    with inbox.owner.connect() as connection:
        columns = inbox.table.c
        rows = connection.execute(sa.select(columns.payload).order_by(columns.id))
        return list(rows.scalars())


async def test_a_batch_is_there_in_its_order_when_it_is_answered(inbox: AnInbox) -> None:
    async with opened(inbox.sender_url) as channel:
        assert await channel.send([b"a", "ä".encode()]) is ALL_STORED
        assert payloads(inbox) == ["a", "ä"]
        await channel.send([b"c"])

    assert payloads(inbox) == ["a", "ä", "c"]


@pytest.mark.parametrize("bad", [b"\xff", b"a\x00b"], ids=["not UTF-8", "a NUL"])
async def test_of_a_batch_with_a_payload_that_is_no_text_nothing_is_left(
    inbox: AnInbox, bad: bytes
) -> None:
    async with opened(inbox.sender_url) as channel:
        with pytest.raises(Refused) as refused:
            await channel.send([b"a", bad, b"c"])

    assert refused.value.payload == 1
    assert payloads(inbox) == []


async def test_a_locked_table_takes_nothing_for_now(inbox: AnInbox) -> None:
    async with opened(inbox.sender_url) as channel:
        with locked(inbox), pytest.raises(NotNow, match="lock"):
            await channel.send([b"a"])

        assert await channel.send([b"b"]) is ALL_STORED

    assert payloads(inbox) == ["b"]


async def test_what_stands_in_the_way_of_a_connection_is_told_apart(
    postgresql_inbox: AnInbox, tmp_path: Path
) -> None:
    address = parse_url(postgresql_inbox.sender_url, "A_URL").set(drivername="postgresql")

    def url(**changed: object) -> str:
        changed_url = address.set(**changed)  # type: ignore[arg-type]
        return changed_url.render_as_string(hide_password=False)

    (tmp_path / "empty.sqlite").touch()
    reasons = {
        url(password="wrong"): "refused",
        url(database="elsewhere"): "refused",
        postgresql_inbox.url.value: "refused",  # the claimer may not insert
        url(port=1): "unreachable",
        url(query={"sslmode": "require"}): "untrusted",
        f"sqlite:///{tmp_path}/none.sqlite": "unreachable",
        f"sqlite:///{tmp_path}/empty.sqlite": "refused",
    }

    for wrong, reason in reasons.items():
        with pytest.raises(ConnectFailed) as failed:
            async with opened(Secret(wrong)):
                pass
        assert failed.value.reason == reason, str(failed.value)
        assert "hush" not in str(failed.value)


async def test_a_server_that_dies_is_a_lost_connection_and_a_new_one_is_made() -> None:
    with LocalStack() as local:
        server = local.start_postgresql()
        url = Secret(server.admin_url())
        inbox_schema.make_table(url, "A_URL")
        async with opened(url) as channel:
            await channel.send([b"a"])
            server.kill()
            with pytest.raises(ConnectionLost):
                await channel.send([b"b"])
            with pytest.raises(ConnectFailed):
                await channel.open(lambda _why: None)
            server.start()
            await channel.open(lambda _why: None)
            await channel.send([b"b"])

        with server.connect() as connection:
            kept = connection.execute("SELECT payload FROM denyut_inbox ORDER BY id").fetchall()
        assert kept == [("a",), ("b",)]
