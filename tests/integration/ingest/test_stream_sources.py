"""Lines over real sockets: durable before they are answered, and let in only who may."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.certificates import Authority
from ingest.sources.counts import StreamWay
from telemetry import tls
from tests.certificates import write_authority, write_issued
from tests.eventually import eventually_async
from tests.integration.ingest.streams import NOW_MS, line, pack, streaming

both_ways = pytest.mark.parametrize("way", ["tcp", "unix"])


@both_ways
async def test_lines_of_every_kind_are_stored_and_then_answered(
    way: StreamWay, tmp_path: Path
) -> None:
    async with streaming(way, tmp_path) as streams, streams.sender() as sender:
        sender.send(
            [
                line(0),
                pack(range(1, 4)),
                b"[" + line(4) + b"," + line(5) + b"]",
                b"weather,site=hall,device=node-1 a=1,seq=6i %d000000" % (NOW_MS + 6),
            ]
        )
        await eventually_async(lambda: sender.durable == 4)

        assert sender.answers[0] == {"ready": True}
        assert sorted(one.seq or 0 for one in streams.stored()) == list(range(7))
        assert streams.parts.tally.messages_by_way[way] == 4
        assert streams.parts.tally.acknowledged_messages == 4


@both_ways
async def test_no_answer_leaves_while_the_store_is_silent(way: StreamWay, tmp_path: Path) -> None:
    async with (
        streaming(way, tmp_path, spool_after_ms=60_000) as streams,
        streams.sender() as sender,
    ):
        streams.parts.store.answers.clear()
        sender.send(line(n) for n in range(100))
        await eventually_async(lambda: streams.parts.tally.in_flight == 100)
        # Many flush intervals pass, each of which would have answered.
        await asyncio.sleep(0.3)
        assert sender.answers == [{"ready": True}]

        streams.parts.store.answers.set()

        await eventually_async(lambda: sender.durable == 100)
        assert len(streams.stored()) == 100


@both_ways
async def test_bad_lines_are_named_and_the_good_ones_around_them_stored(
    way: StreamWay, tmp_path: Path
) -> None:
    async with streaming(way, tmp_path) as streams, streams.sender() as sender:
        mixed = b'{"site":"hall","device":"node-1","measurement":"weather","readings":['
        sender.send([line(0), b"\xff\xfe\x00noise", line(1), line(2, site=5), line(3)])
        sender.send([mixed + line(4) + b',{"ts":"late","values":{"a":1}}]}', b'{"a": 1}'])
        sender.send([line(5, ts=1)])

        await eventually_async(lambda: sender.durable == 8)

        named = [(one["line"], one.get("index")) for one in sender.quarantined]
        assert named == [(2, None), (4, None), (6, 1), (7, None), (8, None)]
        assert sorted(one.seq or 0 for one in streams.stored()) == [0, 1, 3, 4]
        assert len(list(streams.parts.quarantine.records())) == 5


async def test_one_flush_is_one_answer(tmp_path: Path) -> None:
    async with (
        streaming("unix", tmp_path, flush_interval_ms=100) as streams,
        streams.sender() as sender,
    ):
        sender.send(line(n) for n in range(1_000))

        await eventually_async(lambda: sender.durable == 1_000)

        batches = streams.parts.tally.batches
        assert len(sender.answers) <= 1 + batches


async def test_over_tcp_a_key_allows_the_devices_that_it_names(tmp_path: Path) -> None:
    async with streaming("tcp", tmp_path) as streams, streams.sender() as sender:
        sender.send([line(1, "node-7"), line(2, "pump-1")])

        await eventually_async(lambda: sender.durable == 2)

        assert [one.device for one in streams.stored()] == ["node-7"]
        assert [one["line"] for one in sender.quarantined] == [2]
        assert "may not write for device pump-1" in sender.quarantined[0]["reason"]


@pytest.mark.parametrize("key", ["another", None])
async def test_over_tcp_nothing_is_taken_without_a_known_key(
    tmp_path: Path, key: str | None
) -> None:
    async with streaming("tcp", tmp_path) as streams, streams.sender(key=key) as sender:
        sender.send([line(1), line(2)])

        await asyncio.wait_for(sender.is_over.wait(), 10)

        assert len(sender.answers) == 1
        assert "key" in (sender.error or "")
        assert streams.counts == {"key": 1}
        assert streams.parts.tally.messages == 0


async def test_tcp_with_a_certificate_speaks_tls_alone(tmp_path: Path) -> None:
    authority = Authority.make("an authority")
    certificate, key = write_issued(tmp_path, authority.issue_server(["127.0.0.1"]))
    trusted = write_authority(tmp_path, authority)
    shown = tls.server_context("INGEST_TCP", str(certificate), str(key))
    async with streaming("tcp", tmp_path, tls=shown) as streams:
        async with streams.sender(trust=trusted) as sender:
            sender.send(pack(range(n, n + 10)) for n in range(0, 1000, 10))
            await eventually_async(lambda: sender.durable == 100)

        async with streams.sender() as plain:
            plain.send([line(1)])
            await asyncio.wait_for(plain.is_over.wait(), 10)

        assert plain.answers == []
        assert streams.counts == {"tls": 1}
        assert len(streams.stored()) == 1000


async def test_a_unix_peer_is_known_by_its_user(tmp_path: Path) -> None:
    async with (
        streaming("unix", tmp_path, users=frozenset({os.getuid()})) as streams,
        streams.sender() as sender,
    ):
        sender.send([line(1)])
        await eventually_async(lambda: sender.durable == 1)

    nobody_here = frozenset({os.getuid() + 1})
    async with (
        streaming("unix", tmp_path, users=nobody_here) as streams,
        streams.sender() as sender,
    ):
        await asyncio.wait_for(sender.is_over.wait(), 10)
        assert sender.answers == [{"error": "this user may not send here"}]
        assert streams.counts == {"user": 1}


@both_ways
async def test_on_a_stop_what_was_taken_is_answered_before_the_end(
    way: StreamWay, tmp_path: Path
) -> None:
    async with (
        streaming(way, tmp_path, flush_interval_ms=60_000) as streams,
        streams.sender() as sender,
    ):
        sender.send(line(n) for n in range(500))
        await eventually_async(lambda: streams.parts.tally.in_flight)

        await streams.stop()

        await asyncio.wait_for(sender.is_over.wait(), 10)
        assert sender.durable > 0
        assert sender.durable == len(streams.stored())
        with pytest.raises(OSError, match=r"refused|No such file|Connect call failed"):
            async with streams.sender():
                pass


@both_ways
async def test_a_sender_that_is_done_gets_its_last_answer(way: StreamWay, tmp_path: Path) -> None:
    async with streaming(way, tmp_path) as streams, streams.sender() as sender:
        sender.send(line(n) for n in range(10))
        sender.writer.write_eof()

        await asyncio.wait_for(sender.is_over.wait(), 10)

        assert sender.durable == 10
        await eventually_async(lambda: streams.open_connections == 0)


async def test_two_thousand_senders_are_served_at_once(tmp_path: Path) -> None:
    count = 2_000
    async with (
        streaming("tcp", tmp_path, flush_interval_ms=50) as streams,
        AsyncExitStack() as connected,
    ):
        senders = [streams.sender() for _ in range(count)]
        for begin in range(0, count, 200):
            some = senders[begin : begin + 200]
            await asyncio.gather(*(connected.enter_async_context(one) for one in some))
        await eventually_async(lambda: streams.open_connections == count, deadline_seconds=30)
        for number, sender in enumerate(senders):
            sender.send([line(number, f"node-{number}")])

        await eventually_async(
            lambda: all(one.durable == 1 for one in senders), deadline_seconds=30
        )

        assert len(streams.stored()) == count
        assert streams.counts == {}


async def test_where_there_is_little_room_every_sender_gets_its_share(tmp_path: Path) -> None:
    share = 1_500
    async with (
        streaming("unix", tmp_path, held_readings=300) as streams,
        AsyncExitStack() as connected,
    ):
        senders = [await connected.enter_async_context(streams.sender()) for _ in range(8)]
        for number, sender in enumerate(senders):
            sender.send(line(number * 10_000 + n, f"node-{number}") for n in range(share))

        def all_durable() -> int:
            return sum(one.durable for one in senders)

        await eventually_async(lambda: all_durable() >= len(senders) * share // 2)
        assert min(one.durable for one in senders) >= share // 4
        await eventually_async(lambda: all_durable() == len(senders) * share)

        assert len(streams.stored()) == len(senders) * share
