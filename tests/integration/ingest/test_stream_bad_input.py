"""What no sender should do: it is refused with a reason, costs little, and spares the others."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from broker.certificates import Authority
from ingest.sources.counts import StreamWay
from telemetry import tls
from telemetry.store import StoreUnavailable
from tests.certificates import write_issued
from tests.eventually import eventually_async
from tests.integration.ingest.streams import Streams, line, streaming
from tests.line_sender import LineSender

MUCH_BYTES = 64_000_000
both_ways = pytest.mark.parametrize("way", ["tcp", "unix"])
Misbehave = Callable[[Streams, LineSender], Awaitable[None]]


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@asynccontextmanager
async def bystander(streams: Streams) -> AsyncIterator[None]:
    """Somebody sends a reading every few milliseconds meanwhile, and each is answered at once."""
    async with streams.sender() as sender:
        slowest_s = 0.0

        async def send() -> None:
            nonlocal slowest_s
            loop = asyncio.get_running_loop()
            for seq in count():
                began_s = loop.time()
                sender.send([line(seq, "node-9")])
                await eventually_async(lambda: sender.durable > seq)  # noqa: B023
                slowest_s = max(slowest_s, loop.time() - began_s)

        task = asyncio.create_task(send())
        await eventually_async(lambda: sender.durable > 3)
        yield
        before = sender.durable
        await eventually_async(lambda: sender.durable > before + 3)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert sender.error is None
        assert slowest_s < 5.0


async def pour(sender: LineSender, data: bytes, times: int) -> None:
    """Send the same again and again, as long as somebody is there."""
    with suppress(OSError):
        for _ in range(times):
            sender.writer.write(data)
            await sender.writer.drain()


async def end_of(sender: LineSender) -> str | None:
    await asyncio.wait_for(sender.is_over.wait(), 15)
    return sender.error


@both_ways
async def test_an_endless_line_is_cut_off(way: StreamWay, tmp_path: Path) -> None:
    async with streaming(way, tmp_path) as streams, bystander(streams):
        before = resident_bytes()
        async with streams.sender() as sender:
            sender.send([line(1)])
            await pour(sender, b"x" * 1_000_000, MUCH_BYTES // 1_000_000)

            assert await end_of(sender) == "a line is longer than 65,536 bytes"
            assert sender.answers[-1]["line"] == 2
            assert sender.durable == 1
        assert resident_bytes() - before < MUCH_BYTES / 4
        assert streams.counts == {"framing": 1}


@both_ways
async def test_a_million_empty_lines_are_cut_off(way: StreamWay, tmp_path: Path) -> None:
    async with streaming(way, tmp_path) as streams, bystander(streams):
        async with streams.sender() as sender:
            await pour(sender, b"\n" * 100_000, 10)

            assert await end_of(sender) == "more than 1,000 empty lines in a row"
        assert streams.counts == {"framing": 1}
        assert streams.parts.tally.quarantined == 0


@both_ways
async def test_binary_noise_goes_to_quarantine_line_by_line(way: StreamWay, tmp_path: Path) -> None:
    async with streaming(way, tmp_path) as streams, bystander(streams):
        before = resident_bytes()
        async with streams.sender() as sender:
            for _ in range(40):
                await pour(sender, os.urandom(100_000), 1)
            sender.writer.write_eof()
            await end_of(sender)
            lines = sender.durable
            named = len(sender.quarantined) + sum(one.get("unnamed", 0) for one in sender.answers)

        assert lines > 10_000
        assert named == lines
        assert streams.parts.tally.quarantined == lines
        assert resident_bytes() - before < 60_000_000


async def test_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async with (
        streaming("tcp", tmp_path, limits={"key_seconds": 0.2}) as streams,
        streams.sender(key=None) as silent,
        streams.sender(key=None) as slow,
    ):
        slow.writer.write(b'{"key": ')

        assert await end_of(silent) == "no key within 0.2 s"
        assert await end_of(slow) == "no key within 0.2 s"
        assert streams.counts == {"slow": 2}

    async with (
        streaming("tcp", tmp_path, limits={"idle_seconds": 0.3}) as streams,
        streams.sender() as idle,
    ):
        assert await end_of(idle) == "silent for 0.3 s"
        assert streams.counts == {"idle": 1}


@both_ways
async def test_a_line_that_comes_byte_by_byte_is_not_waited_for(
    way: StreamWay, tmp_path: Path
) -> None:
    async with streaming(way, tmp_path, limits={"line_seconds": 0.5}) as streams:
        async with bystander(streams), streams.sender() as sender:
            sender.send([line(1)])
            for _ in range(400):
                sender.writer.write(b"x")
                await asyncio.sleep(0.02)
                if sender.error:
                    break

            assert sender.error == "a line without an end for 0.5 s"
            assert sender.durable == 1
        assert streams.counts == {"slow": 1}


async def test_who_does_not_read_the_answers_is_cut(tmp_path: Path) -> None:
    limits = {"unread_answer_bytes": 10_000}
    async with (
        streaming("unix", tmp_path, limits=limits, flush_interval_ms=1) as streams,
        bystander(streams),
        streams.sender() as sender,
    ):
        cast("asyncio.Transport", sender.writer.transport).pause_reading()
        with suppress(OSError):
            for _ in range(3_000):
                sender.send([b"x" * 10 for _ in range(500)])
                await asyncio.wait_for(sender.writer.drain(), 10)
                if streams.counts:
                    break
        await eventually_async(lambda: streams.counts == {"unread": 1})
        await eventually_async(lambda: streams.open_connections == 1)


async def test_one_address_has_no_more_than_its_share_of_the_connections(tmp_path: Path) -> None:
    async with streaming("tcp", tmp_path, host_connections=2) as streams:
        async with streams.sender() as sender, streams.sender(), streams.sender() as refused:
            assert await end_of(refused) == "too many connections from this address"
            async with streams.sender(from_host="127.0.0.2") as other:
                other.send([line(1)])
                await eventually_async(lambda: other.durable == 1)
            sender.send([line(2)])
            await eventually_async(lambda: sender.durable == 1)
        assert streams.counts == {"address": 1}
        await eventually_async(lambda: streams.open_connections == 0)

        async with streams.sender() as sender, streams.sender() as second:
            for one in (sender, second):
                one.send([line(3)])
            await eventually_async(lambda: sender.durable == second.durable == 1)


async def test_who_begins_no_tls_counts_for_its_address_as_well(tmp_path: Path) -> None:
    issued = Authority.make("an authority").issue_server(["127.0.0.1"])
    shown = tls.server_context("INGEST_TCP", *map(str, write_issued(tmp_path, issued)))
    async with streaming("tcp", tmp_path, host_connections=1, tls=shown) as streams:
        host, port = streams.source.address[:2]
        _reader, silent = await asyncio.open_connection(host, port)
        _reader, second = await asyncio.open_connection(host, port)
        await eventually_async(lambda: streams.counts == {"address": 1})
        silent.close()
        second.close()


@both_ways
async def test_one_connection_too_many_is_told_so(way: StreamWay, tmp_path: Path) -> None:
    async with (
        streaming(way, tmp_path, connections=2) as streams,
        bystander(streams),
    ):
        async with streams.sender() as sender, streams.sender() as refused:
            assert await end_of(refused) == "too many connections"
            sender.send([line(1)])
            await eventually_async(lambda: sender.durable == 1)
        assert streams.counts == {"busy": 1}
        await eventually_async(lambda: streams.open_connections == 1)

        async with streams.sender() as sender:
            sender.send([line(2)])
            await eventually_async(lambda: sender.durable == 1)


async def test_what_waits_of_many_senders_is_bounded_and_each_is_read_in_the_end(
    tmp_path: Path,
) -> None:
    lines, kept_bytes = 2_000, 200_000
    sent_bytes = lines * 52
    async with (
        streaming("unix", tmp_path, backlog_bytes=kept_bytes, held_readings=1_000) as streams,
        AsyncExitStack() as stack,
    ):
        senders = [await stack.enter_async_context(streams.sender()) for _ in range(20)]
        poured = [asyncio.create_task(pour(one, b"x\n" * lines, 1)) for one in senders]
        most = 0
        while any(sender.durable < lines for sender in senders):
            most = max(most, streams.source.backlog_bytes)
            await asyncio.sleep(0)

        assert sent_bytes < most <= kept_bytes + sent_bytes
        assert streams.source.backlog_bytes == 0
        await asyncio.gather(*poured)


@both_ways
async def test_who_comes_while_there_is_no_room_is_not_read(way: StreamWay, tmp_path: Path) -> None:
    async with (
        streaming(way, tmp_path, held_readings=100, spool_after_ms=3_600_000) as streams,
        streams.sender() as first,
    ):
        streams.parts.store.failure = StoreUnavailable("away")
        first.send(line(seq) for seq in range(200))
        await eventually_async(lambda: not streams.parts.intake.has_room())

        async with streams.sender() as late:
            many = b"\n".join(line(seq, "node-2") for seq in range(50_000)) + b"\n"
            late.writer.write(many)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(late.writer.drain(), 0.5)
            assert streams.source.backlog_bytes < len(many) / 10

            streams.parts.store.failure = None
            await eventually_async(lambda: late.durable > 1_000)
        await eventually_async(lambda: first.durable == 200)


async def test_of_many_unfinished_lines_the_oldest_goes(tmp_path: Path) -> None:
    async with streaming("unix", tmp_path, unfinished_bytes=100_000) as streams:
        async with bystander(streams), streams.sender() as old, streams.sender() as new:
            old.writer.write(b"x" * 60_000)
            await eventually_async(lambda: streams.source.unfinished_bytes == 60_000)
            new.writer.write(b"x" * 60_000)

            assert await end_of(old) == "too much of unfinished lines is held"
            assert new.error is None
        assert streams.counts["memory"] == 1


@both_ways
async def test_who_leaves_in_the_middle_of_a_line_leaves_nothing_behind(
    way: StreamWay, tmp_path: Path
) -> None:
    async with streaming(way, tmp_path) as streams, bystander(streams):
        for _ in range(20):
            async with streams.sender() as sender:
                sender.send([line(1)])
                sender.writer.write(line(2)[:40])
                await eventually_async(lambda: sender.durable == 1)
        await eventually_async(lambda: streams.open_connections == 1)
        assert streams.source.unfinished_bytes == 0
        assert streams.parts.tally.quarantined == 0
