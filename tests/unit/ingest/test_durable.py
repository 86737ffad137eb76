"""What is written durably is synced, file and folder, or is not there at all."""

import os
from pathlib import Path

import pytest

from ingest.durable import append_durably, make_folder, replace_durably
from tests.full_disk import no_file_beyond


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The paths that were synced, in order, with their sizes at that moment."""
    calls: list[tuple[str, int]] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        calls.append((path, os.fstat(descriptor).st_size if Path(path).is_file() else 0))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return calls


def test_a_new_file_is_synced_and_then_its_folder(
    tmp_path: Path, synced: list[tuple[str, int]]
) -> None:
    append_durably(tmp_path / "a", b"12345")

    assert synced == [(str(tmp_path / "a"), 5), (str(tmp_path), 0)]


def test_what_is_appended_is_synced_alone(tmp_path: Path, synced: list[tuple[str, int]]) -> None:
    append_durably(tmp_path / "a", b"12345")
    synced.clear()
    append_durably(tmp_path / "a", b"678")

    assert synced == [(str(tmp_path / "a"), 8)]
    assert (tmp_path / "a").read_bytes() == b"12345678"


def test_an_append_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    append_durably(tmp_path / "a", b"12345")

    with no_file_beyond(7), pytest.raises(OSError, match="too large"):
        append_durably(tmp_path / "a", b"67890")

    assert (tmp_path / "a").read_bytes() == b"12345"
    append_durably(tmp_path / "a", b"67890")
    assert (tmp_path / "a").read_bytes() == b"1234567890"


def test_a_new_file_that_does_not_fit_is_gone_again(
    tmp_path: Path, synced: list[tuple[str, int]]
) -> None:
    """Otherwise each try leaves an empty file, and the next one takes its folder for synced."""
    for _ in range(3):
        with no_file_beyond(3), pytest.raises(OSError, match="too large"):
            append_durably(tmp_path / "a", b"12345")
    assert list(tmp_path.iterdir()) == []

    append_durably(tmp_path / "a", b"12345")
    assert synced[-1] == (str(tmp_path), 0)


def test_an_append_that_cannot_be_synced_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_durably(tmp_path / "a", b"12345")

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        append_durably(tmp_path / "a", b"678")

    assert (tmp_path / "a").read_bytes() == b"12345"


def test_a_file_that_is_replaced_is_synced_before_it_takes_the_old_ones_place(
    tmp_path: Path, synced: list[tuple[str, int]]
) -> None:
    replace_durably(tmp_path / "a", b"old")
    synced.clear()
    replace_durably(tmp_path / "a", b"newer")

    assert synced == [(str(tmp_path / "a.new"), 5), (str(tmp_path), 0)]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"newer"


def test_a_replacement_that_does_not_fit_leaves_the_old_file(tmp_path: Path) -> None:
    replace_durably(tmp_path / "a", b"old")

    with no_file_beyond(3), pytest.raises(OSError, match="too large"):
        replace_durably(tmp_path / "a", b"newer")

    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_is_synced_into_the_one_above_it_on_every_level(
    tmp_path: Path, synced: list[tuple[str, int]]
) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")

    assert synced == [(str(tmp_path), 0), (str(tmp_path / "a"), 0)]
    assert (tmp_path / "a" / "b").is_dir()
