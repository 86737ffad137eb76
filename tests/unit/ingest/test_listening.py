"""Sockets on which ingest listens: what stands in their place, what they leave, when they open."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.sources import listening
from ingest.sources.listening import NetworkPlace, SocketFile, WatchedSocket
from telemetry.settings import SettingError
from tests.eventually import eventually_async

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
both_kinds = pytest.mark.parametrize("kind", [STREAM, DATAGRAM])


def place(path: Path, kind: socket.SocketKind = STREAM) -> SocketFile:
    return SocketFile("INGEST_UNIX_SOCKET", str(path), kind)


@pytest.fixture(params=[0o022, 0o077, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@both_kinds
@pytest.mark.usefixtures("umask")
def test_a_socket_file_is_its_users_and_its_groups_whatever_the_umask(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    path = tmp_path / "in.sock"

    with place(path, kind).open():
        mode = path.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


@both_kinds
def test_a_socket_file_is_never_open_to_others_not_even_for_a_moment(
    tmp_path: Path, kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(Path, "chmod", lambda self, _mode: made.append(self.stat().st_mode))
    before = os.umask(0)
    try:
        place(tmp_path / "in.sock", kind).open().close()
    finally:
        os.umask(before)

    assert [stat.S_IMODE(mode) for mode in made] == [0o660]


@both_kinds
def test_what_a_dead_process_left_is_replaced(tmp_path: Path, kind: socket.SocketKind) -> None:
    path = tmp_path / "in.sock"
    place(path, kind).open().close()
    assert path.exists()

    with place(path, kind).open(), socket.socket(socket.AF_UNIX, kind) as peer:
        peer.connect(str(path))


@both_kinds
def test_a_socket_that_somebody_has_open_is_left_to_them(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    path = tmp_path / "in.sock"
    second = place(path, kind)
    with place(path, kind).open(), pytest.raises(OSError, match="another process has it open"):
        second.open()
    second.remove()

    assert path.exists()


@pytest.mark.parametrize("what", ["file", "folder", "link", "fifo"])
def test_what_is_no_socket_is_never_touched(tmp_path: Path, what: str) -> None:
    path = tmp_path / "in.sock"
    if what == "file":
        path.write_text("precious")
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        (tmp_path / "elsewhere").write_text("precious")
        path.symlink_to("elsewhere")
    else:
        os.mkfifo(path)
    mode = path.lstat().st_mode
    ours = place(path)

    with pytest.raises(OSError, match="is no socket"):
        ours.open()
    ours.remove()

    assert path.lstat().st_mode == mode


def test_at_the_end_our_file_goes_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "in.sock"
    ours = place(path)
    with ours.open():
        ours.remove()
    assert not path.exists()

    with ours.open():
        path.unlink()
        path.write_text("somebody else's")
        ours.remove()
    assert path.read_text() == "somebody else's"


def test_a_path_too_long_for_a_socket_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"INGEST_UNIX_SOCKET=.*up to 107 bytes"):
        place(tmp_path / ("x" * 108))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9103", "127.0.0.1", 9103),
        ("[::1]:0", "::1", 0),
        ("ingest:65535", "ingest", 65535),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    place = NetworkPlace.parse("INGEST_TCP_LISTEN", text, STREAM)
    assert (place.host, place.port, place.kind) == (host, port, STREAM)
    assert str(place) == f"INGEST_TCP_LISTEN={text}"


@pytest.mark.parametrize(
    "text", ["9103", ":9103", "host:", "host:x", "host:65536", "host:-1", "[]:1"]
)
def test_what_is_no_address_is_refused_by_its_settings_name(text: str) -> None:
    with pytest.raises(SettingError, match=r"INGEST_TCP_LISTEN=.*host:port"):
        NetworkPlace.parse("INGEST_TCP_LISTEN", text, STREAM)


async def test_a_place_that_is_taken_is_tried_until_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = NetworkPlace.parse("INGEST_TCP_LISTEN", f"127.0.0.1:{port}", STREAM)
        watched = WatchedSocket(place, lambda _socket: None)
        running = asyncio.create_task(watched.run())
        await eventually_async(lambda: "in use" in (watched.problem or ""))
        assert f"INGEST_TCP_LISTEN=127.0.0.1:{port}: " in (watched.problem or "")
    await eventually_async(lambda: watched.problem is None)

    assert watched.address == ("127.0.0.1", port)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert watched.address is None


@both_kinds
async def test_a_socket_whose_file_is_gone_is_made_anew_and_what_had_come_is_read(
    tmp_path: Path, kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_LOOK_SECONDS", 0.01)
    path, heard = tmp_path / "in.sock", []
    watched = WatchedSocket(place(path, kind), lambda one: heard.append(one))
    running = asyncio.create_task(watched.run())
    await eventually_async(lambda: watched.problem is None)
    with socket.socket(socket.AF_UNIX, kind) as before:
        before.connect(str(path))
        watched.watch(False)
        if kind == DATAGRAM:
            before.send(b"hello")
        watched.watch(True)

        path.unlink()
        await eventually_async(path.is_socket)

    assert heard
    with socket.socket(socket.AF_UNIX, kind) as after:
        after.connect(str(path))
        path.unlink()
        path.write_text("precious")
        await eventually_async(lambda: "is no socket" in (watched.problem or ""))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert path.read_text() == "precious"


async def test_a_socket_that_is_not_watched_is_left_unread_and_then_read() -> None:
    heard: list[bytes] = []
    watched = WatchedSocket(
        NetworkPlace("127.0.0.1", 0, DATAGRAM), lambda one: heard.append(one.recv(99))
    )
    running = asyncio.create_task(watched.run())
    await eventually_async(lambda: watched.problem is None)
    watched.watch(False)
    with socket.socket(socket.AF_INET, DATAGRAM) as sender:
        sender.sendto(b"hello", watched.address)
        await asyncio.sleep(0.05)
        assert heard == []
        watched.watch(True)
        await eventually_async(lambda: heard == [b"hello"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
