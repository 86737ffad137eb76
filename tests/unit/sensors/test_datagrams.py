"""A device over datagram sockets: what the kernel takes is gone, what it does not is counted."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sensors import backoff
from sensors.counters import Counters
from sensors.settings import SensorsSettings
from sensors.uplink import Sender
from sensors.ways.datagrams import DatagramWay
from telemetry import log
from telemetry.rarelog import RareLog
from tests.eventually import eventually_async
from tests.uplinks import Noted, Publisher, in_background, shared

DATAGRAM = b'{"site":"home","device":"a","measurement":"m","readings":[{"x": 1}]}'


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_WAIT_SECONDS", 0.05)


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving:
        receiving.bind(("127.0.0.1", 0))
        receiving.settimeout(5)
        yield receiving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "datagrams.socket"


def receiver(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    receiving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiving.bind(str(path))
    receiving.settimeout(5)
    return receiving


@asynccontextmanager
async def sending(**settings: str | int) -> AsyncIterator[Publisher]:
    counters, noted = Counters(), Noted()
    way = DatagramWay(SensorsSettings.load({}, **settings), counters, RareLog(log.get("test")))
    uplink = way.uplink(Sender("a", "home", 0), shared(counters, noted))
    await uplink.keep_connected()
    async with in_background(way.keep()):
        yield Publisher(uplink, counters, noted)


def over_udp(receiving: socket.socket, host: str = "127.0.0.1") -> dict[str, str | int]:
    return {"via": "udp", "udp_host": host, "udp_port": receiving.getsockname()[1]}


def over_unix(path: Path) -> dict[str, str | int]:
    return {"via": "unixgram", "unixgram_socket": str(path)}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_reading_is_a_datagram_with_its_address(udp: socket.socket, host: str) -> None:
    async with sending(**over_udp(udp, host)) as device:
        await eventually_async(lambda: device.uplink.connected)
        device.publish()
        device.publish(payload=b'[{"ts": 1},{"ts": 2}]', readings=2)
        assert udp.recv(65_536) == DATAGRAM
        assert udp.recv(65_536) == DATAGRAM.replace(b'{"x": 1}', b'{"ts": 1},{"ts": 2}')
        assert device.counters.published == [3, 0, 0]
        assert device.acknowledged == []


async def test_before_there_is_a_socket_readings_are_dropped(path: Path) -> None:
    async with sending(**over_unix(path)) as device:
        device.publish()
        await eventually_async(lambda: device.counters.connect_failures["unreachable"] == 1)
        device.publish()
        assert device.dropped == [0, 1]
        with receiver(path) as receiving:
            await eventually_async(lambda: device.uplink.connected)
            device.publish()
            assert receiving.recv(65_536) == DATAGRAM
    assert device.counters.dropped["not_connected"] == [2, 0, 0]


async def test_a_unix_socket_that_was_made_anew_is_found_again(path: Path) -> None:
    first = receiver(path)
    async with sending(**over_unix(path)) as device:
        await eventually_async(lambda: device.uplink.connected)
        first.close()
        with receiver(path) as second:
            device.publish()
            await eventually_async(lambda: device.counters.lost_connections == 1)
            assert device.dropped == [0]
            await eventually_async(lambda: device.uplink.connected)
            device.publish()
            assert second.recv(65_536) == DATAGRAM
    assert device.counters.connects == 2


async def test_over_udp_one_who_is_away_is_found_again_without_a_word(udp: socket.socket) -> None:
    settings = over_udp(udp)
    udp.close()
    async with sending(**settings) as device:
        await eventually_async(lambda: device.uplink.connected)
        await eventually_async(lambda: device.publish() and device.dropped)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", int(settings["udp_port"])))
            back.setblocking(False)

            def arrives() -> bool:
                device.publish()
                try:
                    return bool(back.recv(65_536))
                except BlockingIOError:
                    return False

            await eventually_async(arrives)
            await asyncio.sleep(0.01)
            assert device.uplink.connected
            assert (device.counters.connects, device.counters.lost_connections) == (1, 0)


async def test_what_the_kernel_does_not_take_now_waits_its_turn_and_not_for_ever(
    path: Path,
) -> None:
    with receiver(path) as receiving:
        async with sending(**over_unix(path)) as device:
            await eventually_async(lambda: device.uplink.connected)
            large = b'{"x": "%b"}' % (b"x" * 30_000)
            while not device.dropped:
                device.publish(payload=large)
            assert set(device.counters.dropped["congested"]) == {1, 0}
            taken_at_once = device.counters.published[0]
            for _ in range(taken_at_once + 1_000):
                await eventually_async(lambda: _received(receiving))
            assert device.counters.published[0] == taken_at_once + 1_000


def _received(receiving: socket.socket) -> bool:
    receiving.setblocking(False)
    try:
        return bool(receiving.recv(65_536))
    except BlockingIOError:
        return False


async def test_a_goodbye_waits_for_what_the_kernel_has_not_taken(path: Path) -> None:
    with receiver(path) as receiving:
        async with sending(**over_unix(path)) as device:
            await eventually_async(lambda: device.uplink.connected)
            while device.publish() < device.counters.published[0]:
                pass
            async with in_background(device.uplink.leave()):
                await asyncio.sleep(0.01)
                assert device.counters.connected == 1
                left = device.counters.published[0] + 1
                while left:
                    await eventually_async(lambda: _received(receiving))
                    left -= 1
                await eventually_async(lambda: device.counters.connected == 0)


async def test_what_is_larger_than_a_datagram_or_than_ingest_takes_is_refused(
    udp: socket.socket, path: Path
) -> None:
    with receiver(path):
        for settings in (over_udp(udp), over_unix(path)):
            async with sending(**settings) as device:
                await eventually_async(lambda: device.uplink.connected)
                device.publish(payload=b'{"x": "%b"}' % (b"x" * 65_500))
                assert device.refused == [0]
                assert device.counters.published == [0, 0, 0]
