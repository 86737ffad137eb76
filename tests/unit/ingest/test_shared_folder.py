"""The shared folder: what is claimed, what is left alone, and that no file is claimed twice."""

import os
import socket
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.sources.folder.claimed_file import ClaimedFile
from ingest.sources.folder.claims_of_others import Claimant, claimants, release
from ingest.sources.folder.holding import FolderInUse
from ingest.sources.folder.shared_folder import SharedFolder

ENOUGH = 1_000_000


def opened(path: Path, client_id: str = "ingest-1") -> SharedFolder:
    folder = SharedFolder(path, client_id)
    folder.open()
    return folder


def names(folder: SharedFolder) -> list[str]:
    return folder.look(1_000).names


def claim(folder: SharedFolder, *chosen: str) -> list[ClaimedFile]:
    return folder.claim(deque(chosen or names(folder)), ENOUGH)


def put(folder: Path, name: str, text: bytes = b"line\n") -> Path:
    path = folder / name
    path.write_bytes(text)
    return path


def test_finished_files_wait_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.ndjson", "a.ndjson", "c.ndjson"):
        put(tmp_path, name)

    seen = opened(tmp_path).look(2)

    assert (seen.names, seen.waiting) == (["a.ndjson", "b.ndjson"], 3)


def test_a_claimed_file_is_read_and_goes_when_it_is_removed(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", b"one\ntwo\n")
    folder = opened(tmp_path)

    [file] = claim(folder)
    assert (file.beginning, names(folder)) == (b"one\ntwo\n", [])
    assert [path.name for path in (tmp_path / "claimed" / "ingest-1").glob("*.ndjson")] == [
        file.claim
    ]

    assert folder.remove([file]) == []
    assert folder.claims() == []


def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", b"0123456789")
    folder = opened(tmp_path)

    [file] = folder.claim(deque(["a.ndjson"]), 4)
    pieces = [file.beginning]
    while file.is_open:
        pieces.append(file.read(4))

    assert pieces == [b"0123", b"4567", b"89"]
    assert folder.remove([file]) == []


def test_one_call_claims_no_more_than_it_was_asked_to_read(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, f"{number}.ndjson", b"x" * 10)
    folder = opened(tmp_path)
    waiting = deque(names(folder))

    files = folder.claim(waiting, 15)

    assert [len(file.beginning) for file in files] == [10, 5]
    assert list(waiting) == ["2.ndjson", "3.ndjson", "4.ndjson"]
    for file in files:
        file.close()


def make_link(folder: Path, name: str) -> None:
    (folder / name).symlink_to(put(folder.parent, "secret.ndjson"))


def make_link_up(folder: Path, name: str) -> None:
    put(folder.parent, "secret.ndjson")
    (folder / name).symlink_to("../secret.ndjson")


def make_second_name(folder: Path, name: str) -> None:
    (folder / name).hardlink_to(put(folder.parent, "secret.ndjson"))


def make_fifo(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)


def make_socket(folder: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / name))


def make_folder(folder: Path, name: str) -> None:
    put(folder, "inner").unlink()
    (folder / name).mkdir()
    put(folder / name, "inner.ndjson")


def make_empty(folder: Path, name: str) -> None:
    put(folder, name, b"")


def make_device(folder: Path, name: str) -> None:
    if os.geteuid():
        pytest.skip("only root makes devices")
    os.mknod(folder / name, 0o20600, os.makedev(1, 5))


@pytest.mark.parametrize(
    "make",
    [
        make_link, make_link_up, make_second_name, make_fifo, make_socket, make_folder, make_empty,
        make_device,
    ],
)  # fmt: skip
def test_what_is_no_plain_file_is_counted_and_left_alone(tmp_path: Path, make: object) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    assert callable(make)
    make(shared, "a.ndjson")
    folder = opened(shared)

    seen = folder.look(1_000)

    assert (seen.names, seen.passed_over["kind"]) == ([], 1)
    # Also where it comes between the look and the claim.
    assert claim(folder, "a.ndjson") == []
    assert os.path.lexists(shared / "a.ndjson")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".a.ndjson.part", "unfinished"),
        ("a.ndjson.part", "unfinished"),
        (".a.ndjson", "name"),
        ("a.json", "name"),
        ("a b.ndjson", "name"),
        ("é.ndjson", "name"),
        ("a\n.ndjson", "name"),
        (f"{'a' * 201}.ndjson", "name"),
    ],
)
def test_a_file_of_another_name_is_counted_and_left_alone(
    tmp_path: Path, name: str, why: str
) -> None:
    put(tmp_path, name)

    seen = opened(tmp_path).look(1_000)

    assert (seen.names, {reason for reason, files in seen.passed_over.items() if files}) == (
        [],
        {why},
    )


def test_two_ingests_never_claim_the_same_file(tmp_path: Path) -> None:
    count = 300
    for number in range(count):
        put(tmp_path, f"{number:03}.ndjson")
    folders = [opened(tmp_path, f"ingest-{slot}") for slot in (1, 2, 3)]

    def claim_all(folder: SharedFolder) -> list[str]:
        waiting = deque(names(folder))
        claimed = []
        while waiting:
            claimed += [file.claim for file in folder.claim(waiting, ENOUGH)]
        return claimed

    with ThreadPoolExecutor(3) as threads:
        claimed = [name for one in threads.map(claim_all, folders) for name in one]

    assert len({name.partition(".")[2] for name in claimed}) == len(claimed) == count


def test_two_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    put(tmp_path, "a.ndjson", b"first\n")
    claim(folder)
    put(tmp_path, "a.ndjson", b"second\n")
    claim(folder)

    found = [folder.open_claim(name, ENOUGH) for name in folder.claims()]

    assert [file and file.beginning for file in found] == [b"first\n", b"second\n"]


def test_what_was_claimed_is_there_for_the_next_process_alone(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson")
    first = opened(tmp_path)
    [file] = claim(first)
    with pytest.raises(FolderInUse, match="ingest-1 has it"):
        opened(tmp_path)
    first.close()

    second = opened(tmp_path)

    assert second.claims() == [file.claim]
    assert opened(tmp_path, "ingest-2").claims() == []


def test_what_is_given_back_can_be_claimed_by_another(tmp_path: Path) -> None:
    put(tmp_path, f"{'a' * 200}.ndjson")
    first, second = opened(tmp_path), opened(tmp_path, "ingest-2")
    [file] = claim(first)

    assert first.give_back() == 1
    [again] = claim(second)

    assert first.claims() == []
    assert again.claim != file.claim
    assert again.claim.partition(".")[2] == f"{'a' * 200}.ndjson"


def test_a_file_that_has_grown_since_it_was_read_stays(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson")
    folder = opened(tmp_path)
    [file] = claim(folder)
    with (tmp_path / "claimed" / "ingest-1" / file.claim).open("ab") as late:
        late.write(b"more\n")

    assert folder.remove([file]) == [file]
    assert folder.claims() == [file.claim]


def test_a_file_that_may_not_be_read_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.ndjson")
    folder = opened(tmp_path)

    def refuse(*_arguments: object, **_named: object) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:  # for root no file is closed
        patched.setattr(os, "open", refuse)
        assert claim(folder, "a.ndjson") == []

    assert folder.look(10).passed_over["unreadable"] == 1
    assert names(folder) == ["a.ndjson"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "missing")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_went_or_was_replaced_is_noticed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    folder = opened(shared)
    shared.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        folder.look(10)

    shared.mkdir()

    with pytest.raises(OSError, match="another folder"):
        folder.look(10)
    folder.open()
    assert names(folder) == []


def test_a_link_in_the_place_of_the_claimed_folder_is_not_followed(tmp_path: Path) -> None:
    shared, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    shared.mkdir()
    elsewhere.mkdir()
    (shared / "claimed").symlink_to(elsewhere)

    with pytest.raises(OSError, match="claimed"):
        opened(shared)

    assert list(elsewhere.iterdir()) == []


def test_what_a_gone_ingest_had_claimed_is_released_and_what_a_running_one_has_is_not(
    tmp_path: Path,
) -> None:
    put(tmp_path, "a.ndjson")
    first = opened(tmp_path)
    claim(first)
    assert list(claimants(tmp_path)) == [Claimant("ingest-1", 1, runs=True)]
    with pytest.raises(FolderInUse):
        release(tmp_path, "ingest-1")
    first.close()
    assert list(claimants(tmp_path)) == [Claimant("ingest-1", 1, runs=False)]

    assert release(tmp_path, "ingest-1") == 1

    assert len(names(opened(tmp_path, "ingest-2"))) == 1
    assert release(tmp_path, "never-there") == 0
    assert not (tmp_path / "claimed" / "never-there").exists()
