import stat
from pathlib import Path

import pytest

from telemetry.keys import KeyEntry, entry_line, make_key
from telemetry.keys import file as key_file
from telemetry.keys.file import KeyFile
from telemetry.settings import SettingError
from tests.log_lines import capture_logs


def made(name: str = "grafana") -> tuple[str, KeyEntry]:
    return make_key(name, ["read"], None, made="2026-01-31T12:00:00Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_that_is_added_opens_at_once_and_one_that_is_removed_no_more(path: Path) -> None:
    (one, one_entry), (two, two_entry) = made(), made()
    key_file.add(path, one_entry)
    file = KeyFile(path)
    assert file.keyring().entry(one) == one_entry
    key_file.add(path, two_entry)
    assert file.keyring().entry(two) == two_entry
    assert key_file.remove(path, one_entry.id)
    assert file.keyring().entry(one) is None
    assert file.keyring().entry(two) == two_entry


def test_a_file_that_has_not_changed_is_not_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file.add(path, made()[1])
    reads = 0
    read_bytes = Path.read_bytes

    def counted(self: Path) -> bytes:
        nonlocal reads
        reads += 1
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", counted)
    file = KeyFile(path)
    assert {len(file.keyring()) for _ in range(100)} == {1}
    assert reads == 1


def test_a_file_that_became_unreadable_leaves_the_keys_in_force_and_says_so_once(
    path: Path,
) -> None:
    key, entry = made()
    key_file.add(path, entry)
    file = KeyFile(path)
    assert file.keyring().entry(key) == entry
    path.write_bytes(entry_line(entry) + b"{")
    with capture_logs() as lines:
        assert [file.keyring().entry(key) for _ in range(3)] == [entry] * 3
    assert [(line["level"], "line 2" in line["reason"]) for line in lines] == [("error", True)]
    path.unlink()
    with capture_logs() as lines:
        assert [file.keyring().entry(key) for _ in range(3)] == [entry] * 3
    assert [line["level"] for line in lines] == ["error"]
    path.write_bytes(b"")
    assert file.keyring().entry(key) is None


def test_a_file_that_could_never_be_read_opens_nothing(path: Path) -> None:
    with capture_logs():
        assert len(KeyFile(path).keyring()) == 0
    path.write_bytes(b"{")
    with capture_logs():
        assert len(KeyFile(path).keyring()) == 0


def test_a_file_without_its_last_newline_is_added_to(path: Path) -> None:
    one, two = made()[1], made()[1]
    path.write_bytes(entry_line(one).rstrip())
    key_file.add(path, two)
    assert key_file.load(path) == [one, two]


def test_the_file_is_for_its_owner_only_and_keeps_the_mode_that_it_was_given(path: Path) -> None:
    def mode() -> int:
        return stat.S_IMODE(path.stat().st_mode)

    entries = [made()[1] for _ in range(3)]
    key_file.add(path, entries[0])
    assert mode() == 0o600
    path.chmod(0o640)
    for entry in entries[1:]:
        key_file.add(path, entry)
    key_file.remove(path, entries[1].id)
    assert mode() == 0o640
    assert key_file.load(path) == [entries[0], entries[2]]
    assert list(path.parent.iterdir()) == [path]


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    entry = made()[1]
    key_file.add(path, entry)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert key_file.remove(link, entry.id)
    assert link.is_symlink()
    assert path.read_bytes() == b""


def test_an_unknown_id_is_not_removed(path: Path) -> None:
    key_file.add(path, made()[1])
    before = path.stat()
    assert not key_file.remove(path, "nobody")
    now = path.stat()
    assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("text", [None, b"{", b"\xff"])
def test_what_is_wrong_with_a_file_is_one_line(path: Path, text: bytes | None) -> None:
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SettingError) as caught:
        key_file.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
