"""Datagrams over real sockets: taken as they come, never answered, and what is lost is counted."""

import asyncio
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from ingest.sources.counts import DatagramWay
from ingest.sources.datagrams import DatagramSource
from ingest.sources.listening import NetworkPlace, SocketFile
from ingest.sources.socket_opening import allowed_networks
from telemetry.store import Selection
from tests.eventually import eventually_async
from tests.ingest_parts import Parts
from tests.integration.ingest.streams import line, pack

both_ways = pytest.mark.parametrize("way", ["udp", "unixgram"])


class Datagrams:
    """A source at work, and somebody who sends to it."""

    def __init__(self, parts: Parts, source: DatagramSource) -> None:
        self.parts = parts
        self.source = source
        self.tally = parts.tally
        family = socket.AF_INET if source.way == "udp" else socket.AF_UNIX
        self._sender = socket.socket(family, socket.SOCK_DGRAM)
        self._sender.connect(source.address)
        self._sender.setblocking(False)

    @property
    def lost(self) -> int:
        return self.tally.sockets.lost_datagrams[self.source.way]

    async def send(self, datagram: bytes) -> None:
        """Send, and where the kernel has no room for it, wait."""
        await eventually_async(lambda: self.try_to_send(datagram), what="room in the kernel")

    def try_to_send(self, datagram: bytes) -> bool:
        try:
            self._sender.send(datagram)
        except BlockingIOError:
            return False
        return True

    async def settled(self) -> None:
        """Wait until the kernel has nothing more for us, and the store has all that we had."""
        before = -1
        while before != sum(self.tally.received) or self.tally.in_flight:
            before = sum(self.tally.received)
            await asyncio.sleep(0.1)

    def stored(self) -> list[int]:
        everything = Selection(start_ms=0, stop_ms=2**62)
        return sorted(
            one.seq or 0 for one in self.parts.store.readings(everything, limit=1_000_000)
        )

    def close(self) -> None:
        self._sender.close()


@asynccontextmanager
async def listening(
    way: DatagramWay,
    folder: Path,
    *,
    buffer_bytes: int = 1_000_000,
    allow: str = "",
    **given: object,
) -> AsyncIterator[Datagrams]:
    parts = Parts(folder, **{"flush_interval_ms": 5, **given})
    place = (
        SocketFile("INGEST_UNIXGRAM_SOCKET", str(folder / "in.sock"), socket.SOCK_DGRAM)
        if way == "unixgram"
        else NetworkPlace("127.0.0.1", 0, socket.SOCK_DGRAM)
    )
    source = DatagramSource(
        way,
        place,
        parts.intake,
        parts.tally,
        payload_bytes=parts.settings.payload_bytes,
        buffer_bytes=buffer_bytes,
        networks=allowed_networks(allow) if allow else None,
    )
    async with parts.working():
        tasks = [asyncio.create_task(part, name=name) for name, part in source.parts().items()]
        try:
            await eventually_async(lambda: source.problem is None, what="an open socket")
            with closing(Datagrams(parts, source)) as datagrams:
                yield datagrams
        finally:
            source.pause()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert parts.tally.balance == 0


@both_ways
async def test_a_datagram_is_a_reading_or_a_pack(way: DatagramWay, tmp_path: Path) -> None:
    async with listening(way, tmp_path) as datagrams:
        for datagram in (line(0), pack(range(1, 101)), line(101)):
            await datagrams.send(datagram)

        await eventually_async(lambda: datagrams.tally.written[0] == 102)

        assert datagrams.stored() == list(range(102))
        assert datagrams.tally.received == [102, 0, 0]
        assert datagrams.tally.messages_by_way[way] == 3


@both_ways
@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "empty"),
        (b"\xff\x00\xfe", "not UTF-8"),
        (b"{", "truncated"),
        (b"x" * 2_001, "a datagram of over 2,000 bytes"),
    ],
)
async def test_what_is_no_payload_goes_to_quarantine_and_others_are_stored(
    way: DatagramWay, tmp_path: Path, datagram: bytes, why: str
) -> None:
    async with listening(way, tmp_path, payload_bytes=2_000) as datagrams:
        for one in (line(0), datagram, line(1)):
            await datagrams.send(one)

        await eventually_async(lambda: sum(datagrams.tally.written) == 2)
        await eventually_async(lambda: datagrams.tally.quarantined == 1)

        (record,) = datagrams.parts.quarantine.records()
        assert why in record.reason
        assert record.payload == datagram[:2_000]
        assert datagrams.stored() == [0, 1]


async def test_without_room_the_kernel_drops_and_each_drop_is_counted(tmp_path: Path) -> None:
    count = 3_000
    async with listening(
        "udp", tmp_path, buffer_bytes=50_000, held_readings=100, spool_after_ms=60_000
    ) as datagrams:
        datagrams.parts.store.answers.clear()
        for seq in range(count):
            await datagrams.send(line(seq))
            if seq % 10 == 0:
                await asyncio.sleep(0)
        await eventually_async(lambda: datagrams.tally.in_flight >= 100)
        began_s = time.process_time()
        await asyncio.sleep(0.5)
        assert datagrams.tally.in_flight < 200
        assert time.process_time() - began_s < 0.2  # nothing spins while nothing is read

        datagrams.parts.store.answers.set()
        await datagrams.settled()
        # The kernel tells of what it dropped with what it keeps later.
        for seq in (count, count + 1):
            await datagrams.send(line(seq))
        await eventually_async(lambda: count + 1 in datagrams.stored())

        assert datagrams.lost > 0
        assert sum(datagrams.tally.received) + datagrams.lost == count + 2
        assert len(datagrams.stored()) + datagrams.lost == count + 2


async def test_over_a_unix_socket_nothing_is_dropped_the_sender_has_to_wait(tmp_path: Path) -> None:
    async with listening(
        "unixgram", tmp_path, held_readings=100, spool_after_ms=60_000
    ) as datagrams:
        datagrams.parts.store.answers.clear()
        sent = 0
        while datagrams.try_to_send(line(sent)) or datagrams.parts.intake.has_room():
            sent += 1
            await asyncio.sleep(0)
        assert not datagrams.try_to_send(line(sent))

        datagrams.parts.store.answers.set()
        await datagrams.send(line(sent))

        await eventually_async(lambda: sent in datagrams.stored())
        assert datagrams.lost == 0
        assert sum(datagrams.tally.received) == len(datagrams.stored())


@pytest.mark.parametrize(
    ("allow", "taken"),
    [("127.0.0.0/8, ::1/128", 1), ("10.0.0.0/8", 0), ("127.0.0.1", 1), ("::/0", 0)],
)
async def test_datagrams_are_taken_from_the_networks_that_are_named(
    tmp_path: Path, allow: str, taken: int
) -> None:
    async with listening("udp", tmp_path, allow=allow) as datagrams:
        await datagrams.send(line(0))
        refused = datagrams.tally.sockets.refused_datagrams
        await eventually_async(lambda: datagrams.tally.messages + refused["udp"] == 1)

        assert datagrams.tally.messages == taken
        assert datagrams.tally.quarantined == 0


async def test_what_has_come_when_it_stops_is_taken(tmp_path: Path) -> None:
    async with listening("udp", tmp_path) as datagrams:
        for seq in range(500):
            assert datagrams.try_to_send(line(seq))  # the loop has no turn meanwhile

        datagrams.source.pause()
        await datagrams.parts.pipeline.drain()

        assert datagrams.stored() == list(range(500))


async def test_a_datagram_socket_is_its_users_and_its_groups(tmp_path: Path) -> None:
    async with listening("unixgram", tmp_path):
        path = tmp_path / "in.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not (tmp_path / "in.sock").exists()
