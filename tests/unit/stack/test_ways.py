"""The ways of a local stack: what a person may choose, and what both sides are told."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import StackError
from stack.local import LocalStack
from stack.ways import WAYS
from telemetry.keys import Keyring, read_entries


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    with LocalStack() as local:
        yield local


# A database is a server, or is made by a process: those are tried where they are used.
@pytest.mark.parametrize("name", [name for name in WAYS if not name.startswith("database")])
def test_a_way_is_made_once_with_an_address_of_its_own(stack: LocalStack, name: str) -> None:
    way = stack.ways.named(name)
    assert stack.ways.named(name) is way
    with LocalStack() as other:
        assert other.ways.named(name).ingest != way.ingest


def test_the_devices_key_is_in_ingests_file_and_may_only_write(stack: LocalStack) -> None:
    tcp, tls = stack.ways.named("tcp"), stack.ways.named("tcp-tls")
    assert tcp.ingest["KEYS_FILE"] == tls.ingest["KEYS_FILE"]
    key = Path(tcp.sensors["KEY_FILE"])
    entry = Keyring(read_entries(Path(tcp.ingest["KEYS_FILE"]).read_bytes())).entry(key.read_text())
    assert entry is not None
    assert entry.scopes == ["write"]
    for path in (key, Path(tls.ingest["TCP_KEY_FILE"])):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_wish_the_level_is_what_the_way_can_do(stack: LocalStack) -> None:
    assert stack.ways.chosen("mqtt", None) == (None, "mixed")
    assert stack.ways.chosen("unix", None) == (stack.ways.named("unix"), "mixed")
    assert stack.ways.chosen("unix", "2")[1] == "2"
    assert stack.ways.chosen("udp", None)[1] == stack.ways.chosen("udp", "0")[1] == "0"


def test_what_cannot_be_chosen_is_said_with_what_can(stack: LocalStack) -> None:
    with pytest.raises(
        StackError, match=r"^--qos mixed: --via udp gives no answers; 0 is allowed$"
    ):
        stack.ways.chosen("udp", "mixed")
    with pytest.raises(StackError, match=r"^'pigeon' is no way; mqtt, tcp, .* are$"):
        stack.ways.chosen("pigeon", None)
