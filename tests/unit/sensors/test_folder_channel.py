"""A batch becomes a whole file or none, and waits while the folder is full or away."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from sensors.ways.channel import ALL_STORED, Answer
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow
from sensors.ways.folder import FolderChannel, FolderLimits
from tests.full_disk import no_file_beyond

ROOMY = FolderLimits(files=1_000, bytes=1_000_000_000)


def opened(folder: Path, writer: str = "sensors-1", limits: FolderLimits = ROOMY) -> FolderChannel:
    channel = FolderChannel(folder, writer, limits)
    asyncio.run(channel.open(lambda _why: None))
    return channel


def send(channel: FolderChannel, *payloads: bytes) -> Answer:
    return asyncio.run(channel.send(payloads))


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_a_batch_is_a_file_with_a_line_for_each_payload_in_the_order_of_sending(
    tmp_path: Path,
) -> None:
    channel = opened(tmp_path)

    assert send(channel, b"a", b"b") is ALL_STORED
    send(channel, b"c")

    assert contents(tmp_path) == [b"a\nb\n", b"c\n"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".ndjson"}


def test_a_file_is_synced_before_its_name_and_its_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = opened(tmp_path)
    steps: list[str] = []
    rename, fsync = os.rename, os.fsync

    def note_rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("rename")
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def note_fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().suffix}")
        fsync(descriptor)

    monkeypatch.setattr(os, "rename", note_rename)
    monkeypatch.setattr(os, "fsync", note_fsync)
    send(channel, b"a")

    assert steps == ["sync .part", "rename", "sync "]


def test_on_a_full_disk_nothing_is_left_and_the_batch_is_to_be_sent_again(
    tmp_path: Path,
) -> None:
    channel = opened(tmp_path)

    with no_file_beyond(100), pytest.raises(NotNow, match="File too large"):
        send(channel, b"x" * 200)
    assert contents(tmp_path) == []

    send(channel, b"x" * 200)
    assert contents(tmp_path) == [b"x" * 200 + b"\n"]


@pytest.mark.parametrize("limits", [FolderLimits(2, 10**9), FolderLimits(1_000, 4)])
def test_nothing_is_added_while_too_much_waits_for_ingest(
    tmp_path: Path, limits: FolderLimits
) -> None:
    channel = opened(tmp_path, limits=limits)
    for _ in range(2):
        send(channel, b"a")

    with pytest.raises(NotNow, match="2 files of 4 bytes wait for ingest"):
        send(channel, b"b")

    next(tmp_path.glob("*.ndjson")).unlink()
    send(channel, b"b")


def test_a_folder_that_is_away_is_no_connection_until_it_is_back(tmp_path: Path) -> None:
    folder, away = tmp_path / "shared", tmp_path / "away"
    with pytest.raises(ConnectFailed, match="No such file") as failed:
        opened(folder)
    assert failed.value.reason == "unreachable"
    folder.mkdir()
    channel = opened(folder)
    folder.rename(away)

    with pytest.raises(ConnectionLost, match="No such file"):
        send(channel, b"a")

    away.rename(folder)
    send(channel, b"a")
    assert contents(folder) == [b"a\n"]


def test_a_folder_that_may_not_be_written_needs_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def refuse(path: Path | str, flags: int, *mode: int, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_file(path, flags, *mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)  # for root no folder is closed

    with pytest.raises(ConnectFailed, match="Permission denied") as failed:
        opened(tmp_path)

    assert failed.value.reason == "refused"


def test_what_an_earlier_process_did_not_finish_goes_and_what_others_write_stays(
    tmp_path: Path,
) -> None:
    time_ns = "0" * 20
    left = [
        f".{time_ns}-1.ndjson.part",
        f".{time_ns}-sensors-1.ndjson.part",
        f".{time_ns}-sensors-2.ndjson.part",
        f"{time_ns}-1.ndjson",
    ]
    for name in left:
        (tmp_path / name).touch()

    opened(tmp_path, writer="1")

    assert {path.name for path in tmp_path.iterdir()} == set(left[1:])
