"""A device over a stream socket, before a server that answers as it should not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.certificates import Authority
from sensors import backoff
from sensors.settings import SensorsSettings
from sensors.ways.channel import NOT_NAMED, Channel
from sensors.ways.streams import tcp_channel, unix_channel
from tests.certificates import server_context, write_authority
from tests.eventually import eventually_async
from tests.line_server import READY, LineServer, tcp_line_server, unix_line_server
from tests.uplinks import Publisher, publishing

LINE = b'{"site":"home","device":"a","measurement":"m","readings":[{"x": 1}]}'


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_WAIT_SECONDS", 0.05)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LineServer]:
    async with unix_line_server(tmp_path / "lines.socket") as server:
        yield server


@pytest.fixture
async def device(server: LineServer, tmp_path: Path) -> AsyncIterator[Publisher]:  # noqa: ARG001
    async with publishing(over_unix(tmp_path / "lines.socket"), timeout_seconds=0.5) as device:
        yield device


def over_unix(path: Path) -> Channel:
    return unix_channel(SensorsSettings.load({}, via="unix", unix_socket=str(path)))()


def over_tcp(port: int, **settings: str) -> Channel:
    variables = {"SENSORS_TCP_PORT": str(port), "SENSORS_KEY": "the key", **settings}
    return tcp_channel(SensorsSettings.load(variables, via="tcp"))()


async def test_a_reading_is_a_line_and_acknowledged_by_the_count_of_durable_lines(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    for _ in range(3):
        device.publish()
    await eventually_async(lambda: server.lines == [LINE, LINE, LINE])
    assert device.acknowledged == []
    server.say(b'{"durable":2}')
    await eventually_async(lambda: device.acknowledged == [0, 1])
    server.say(b'{"durable":3}')
    await eventually_async(lambda: device.acknowledged == [0, 1, 2])


async def test_nothing_leaves_before_the_server_is_ready(
    server: LineServer, tmp_path: Path
) -> None:
    server.greets = False
    async with publishing(over_unix(tmp_path / "lines.socket")) as device:
        device.publish()
        await eventually_async(lambda: server.connections)
        assert not device.uplink.connected
        assert server.lines == []
        server.say(READY)
        await eventually_async(lambda: device.acknowledged == [0])


async def test_answers_may_come_in_pieces_and_several_at_once(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    for _ in range(3):
        device.publish()
    await eventually_async(lambda: len(server.lines) == 3)
    server.send(b'{"durable"')
    await asyncio.sleep(0.01)
    server.send(b':1}\n{"durable":3}\n{"dur')
    await eventually_async(lambda: device.acknowledged == [0, 1, 2])


async def test_a_count_that_tells_nothing_new_changes_nothing(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    device.publish()
    server.say(b'{"durable":0}')
    device.publish()
    await eventually_async(lambda: len(server.lines) == 2)
    assert device.acknowledged == []
    server.say(b'{"durable":2}')
    server.say(b'{"durable":1}')
    await eventually_async(lambda: device.acknowledged == [0, 1])
    assert device.uplink.connected


async def test_quarantined_readings_are_refused_with_their_reasons(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    device.publish()
    device.publish(payload=b"[1,2,3]", readings=3)
    device.publish()
    await eventually_async(lambda: len(server.lines) == 3)
    # Said before the lines' own turn has come, and after.
    server.say(b'{"durable":1,"quarantined":[{"line":2,"index":1,"reason":"NaN"}]}')
    server.say(b'{"durable":3,"quarantined":[{"line":3,"index":0,"reason":"no"}],"unnamed":0}')
    await eventually_async(lambda: device.uplink.unfinished == 0)
    assert device.acknowledged == [0, 1, 3]
    assert device.refused == [2, 4]


async def test_lines_that_left_together_are_told_apart(server: LineServer, tmp_path: Path) -> None:
    server.greets = server.answers = False
    async with publishing(over_unix(tmp_path / "lines.socket")) as device:
        await eventually_async(lambda: server.connections)
        for _ in range(4):
            device.publish()
        server.say(READY)
        await eventually_async(lambda: len(server.lines) == 4)
        server.say(b'{"durable":3}')
        server.say(b'{"durable":4,"quarantined":[{"line":2,"index":0,"reason":"NaN"}]}')
        await eventually_async(lambda: device.uplink.unfinished == 0)
        device.publish()
        await eventually_async(lambda: len(server.lines) == 5)
        server.say(b'{"durable":5}')
        await eventually_async(lambda: device.acknowledged == [0, 2, 3, 4])
        assert device.refused == [1]


async def test_what_was_told_of_one_batch_is_not_told_again(
    server: LineServer, tmp_path: Path
) -> None:
    server.answers = False
    channel = over_unix(tmp_path / "lines.socket")
    await channel.open(lambda _why: None)
    first, second = channel.send([b"1", b"2"]), channel.send([b"3"])
    server.say(b'{"durable":2,"quarantined":[{"line":2,"index":0,"reason":"NaN"}]}')
    server.say(b'{"durable":3}')
    assert (await first).rejected == [(1, 0, "NaN")]
    assert (await second).rejected == ()
    await channel.close()


async def test_what_an_answer_only_counts_is_nothing_that_is_stored(
    server: LineServer, tmp_path: Path
) -> None:
    server.answers = False
    channel = over_unix(tmp_path / "lines.socket")
    await channel.open(lambda _why: None)
    answer = channel.send([b"1", b"2", b"3", b"4"])
    server.say(b'{"durable":4,"quarantined":[{"line":2,"index":0,"reason":"NaN"}],"unnamed":7}')

    assert (await answer).rejected == [
        (1, 0, "NaN"), (1, None, NOT_NAMED), (2, None, NOT_NAMED), (3, None, NOT_NAMED),
    ]  # fmt: skip
    await channel.close()


@pytest.mark.parametrize(
    "word", [b"durable: 1", b'{"durable":"1"}', b"\xff", b"[]", b"{" * 100_000, b"x" * 1_100_000]
)
async def test_an_answer_that_is_none_ends_the_connection_and_loses_nothing(
    device: Publisher, server: LineServer, word: bytes
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    device.publish()
    server.answers = True
    server.say(word)
    await eventually_async(lambda: len(server.connections) == 2)
    await eventually_async(lambda: device.acknowledged[:1] == [0])
    assert device.uplink.unfinished == 0


async def test_an_answer_without_an_end_is_not_kept_for_ever(
    device: Publisher, server: LineServer
) -> None:
    await eventually_async(lambda: device.uplink.connected)
    server.send(b" " * 1_100_000)
    await eventually_async(lambda: device.counters.lost_connections == 1)


async def test_what_had_no_answer_is_sent_again_when_the_server_hangs_up(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    for _ in range(3):
        device.publish()
    await eventually_async(lambda: len(server.lines) == 3)
    server.say(b'{"durable":1}')
    await eventually_async(lambda: device.acknowledged == [0])
    server.answers = True
    server.hang_up()
    await eventually_async(lambda: device.acknowledged == [0, 1, 2])
    assert server.connections[1] == [LINE, LINE]


async def test_a_line_that_the_server_never_takes_does_not_come_again(
    device: Publisher, server: LineServer
) -> None:
    server.answers = False
    await eventually_async(lambda: device.uplink.connected)
    for number in range(3):
        device.publish(payload=b'{"ts": %d}' % number)
    await eventually_async(lambda: len(server.lines) == 3)
    server.answers = True
    server.say(b'{"error":"a line is longer than 10 bytes","line":2}')
    await eventually_async(lambda: device.acknowledged == [0, 2])
    assert device.refused == [1]


async def test_who_is_not_let_in_is_told_so_and_tries_again(
    server: LineServer, tmp_path: Path
) -> None:
    server.greets = False
    async with publishing(over_unix(tmp_path / "lines.socket")) as device:
        await eventually_async(lambda: server.connections)
        server.greets = True
        server.say(b'{"error":"this user may not send here"}')
        await eventually_async(lambda: device.counters.connect_failures["refused"] == 1)
        await eventually_async(lambda: device.uplink.connected)


async def test_a_server_that_says_nothing_is_given_up(server: LineServer, tmp_path: Path) -> None:
    server.greets = False
    async with publishing(over_unix(tmp_path / "lines.socket"), timeout_seconds=0.1) as device:
        await eventually_async(lambda: device.counters.connect_failures["timeout"] == 1)


async def test_a_socket_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lines.socket"
    async with publishing(over_unix(path)) as device:
        device.publish()
        await eventually_async(lambda: device.counters.connect_failures["unreachable"] == 1)
        async with unix_line_server(path):
            await eventually_async(lambda: device.acknowledged == [0])


async def test_a_goodbye_lets_what_was_written_arrive(server: LineServer, tmp_path: Path) -> None:
    server.answers = False
    async with publishing(over_unix(tmp_path / "lines.socket"), 0) as device:
        await eventually_async(lambda: device.uplink.connected)
        for _ in range(20):  # more than the kernel takes at once
            device.publish(payload=b'{"x": "%b"}' % (b"x" * 50_000))
        written = device.counters.published[0]
        await device.uplink.leave()
        await eventually_async(lambda: server.eofs == 1)
        assert len(server.lines) == written > 5


async def test_over_tcp_the_key_comes_first_and_is_read_again_for_each_connection(
    tmp_path: Path,
) -> None:
    key = tmp_path / "key"
    key.write_text("first\n")
    variables = {"SENSORS_KEY_FILE": str(key)}
    async with tcp_line_server() as server:
        variables["SENSORS_TCP_PORT"] = str(server.port)
        channel = tcp_channel(SensorsSettings.load(variables, via="tcp"))()
        async with publishing(channel) as device:
            device.publish()
            await eventually_async(lambda: device.acknowledged == [0])
            key.write_text("second")
            server.hang_up()
            await eventually_async(lambda: len(server.keys) == 2)
    assert server.keys == [b'{"key":"first"}', b'{"key":"second"}']


async def test_over_tls_readings_go_to_whom_the_authority_names(tmp_path: Path) -> None:
    authority = Authority.make("an authority")
    context = server_context(tmp_path, authority.issue_server(["127.0.0.1"]))
    ca = {"SENSORS_TLS_CA_FILE": str(write_authority(tmp_path, authority))}
    async with (
        tcp_line_server(context) as server,
        publishing(over_tcp(server.port, **ca)) as device,
    ):
        device.publish()
        await eventually_async(lambda: device.acknowledged == [0])


async def test_before_any_other_server_not_even_the_key_leaves(tmp_path: Path) -> None:
    trusted, other = Authority.make("ours"), Authority.make("another")
    context = server_context(tmp_path, other.issue_server(["127.0.0.1"]))
    ca = {"SENSORS_TLS_CA_FILE": str(write_authority(tmp_path, trusted))}
    async with (
        tcp_line_server(context) as server,
        publishing(over_tcp(server.port, **ca)) as device,
    ):
        await eventually_async(lambda: device.counters.connect_failures["untrusted"] == 2)
        assert server.keys == []
    async with tcp_line_server() as server, publishing(over_tcp(server.port, **ca)) as device:
        await eventually_async(lambda: sum(device.counters.connect_failures.values()) == 1)
        assert not [key for key in server.keys if b"the key" in key]
