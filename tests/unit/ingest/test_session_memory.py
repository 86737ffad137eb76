"""What a session was subscribed to is remembered over restarts, for its client id only."""

from pathlib import Path

import pytest

from ingest.sources.mqtt.session_memory import SessionMemory


def test_what_was_remembered_is_known_after_a_restart(tmp_path: Path) -> None:
    SessionMemory(tmp_path / "data", "ingest-1").remember({"a/+", "b/#"})

    assert SessionMemory(tmp_path / "data", "ingest-1").filters() == {"a/+", "b/#"}


def test_nothing_is_known_of_another_client_id(tmp_path: Path) -> None:
    SessionMemory(tmp_path, "ingest-1").remember({"a/+"})

    assert SessionMemory(tmp_path, "ingest-2").filters() == set()


def test_nothing_is_known_before_the_first_time_and_after_the_session_ended(tmp_path: Path) -> None:
    memory = SessionMemory(tmp_path, "ingest-1")
    assert memory.filters() == set()
    memory.forget()
    memory.remember({"a/+"})
    memory.forget()

    assert memory.filters() == set()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"client_id": 1}', b"[]"])
def test_an_unreadable_file_remembers_nothing_and_is_replaced(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "session.json").write_bytes(content)
    memory = SessionMemory(tmp_path, "ingest-1")
    assert memory.filters() == set()

    memory.remember({"a/+"})

    assert memory.filters() == {"a/+"}


def test_what_is_remembered_already_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room must not matter to a reconnect that changes nothing."""
    memory = SessionMemory(tmp_path, "ingest-1")
    memory.remember({"a/+", "b/#"})
    monkeypatch.setattr(
        "ingest.sources.mqtt.session_memory.replace_durably", lambda *_: pytest.fail("written")
    )

    memory.remember({"b/#", "a/+"})
