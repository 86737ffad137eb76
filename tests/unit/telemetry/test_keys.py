from typing import Any

import msgspec
import pytest

from telemetry.keys import (
    KeyEntry,
    KeyEntryError,
    Keyring,
    Scope,
    entry_line,
    make_key,
    read_entries,
)

MADE = "2026-01-31T12:00:00Z"


def made(
    name: str = "grafana", scopes: list[Scope] | None = None, devices: list[str] | None = None
) -> tuple[str, KeyEntry]:
    return make_key(name, scopes or ["read"], devices, made=MADE)


def line(**changed: Any) -> bytes:
    fields: dict[str, Any] = {"id": "a1", "name": "x", "sha256": "0" * 64, "scopes": ["read"]}
    fields |= changed
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def test_a_key_opens_what_its_entry_says() -> None:
    key, entry = made(scopes=["read", "command"])
    assert Keyring([entry]).entry(key) == entry
    assert entry.scopes == ["read", "command"]


def test_every_key_is_another_and_its_secret_has_256_bits() -> None:
    keys = {made()[0] for _ in range(50)}
    assert len(keys) == 50
    assert {len(bytes.fromhex(key.split("_")[2])) for key in keys} == {32}


def test_the_entry_does_not_hold_the_secret() -> None:
    key, entry = made()
    text = entry_line(entry).decode()
    assert key.split("_")[1] in text
    assert key.split("_")[2] not in text


def test_another_secret_another_id_and_what_is_no_key_open_nothing() -> None:
    key, entry = made()
    _, key_id, secret = key.split("_")
    ring = Keyring([entry])
    wrong = [
        f"dnyt_{key_id}_{secret[:-1]}{'1' if secret[-1] == '0' else '0'}",
        f"dnyt_{key_id[:-1]}{'1' if key_id[-1] == '0' else '0'}_{secret}",
        f"dnyt_{key_id}_{entry.sha256}",
        f"dnyt_{key_id}_",
        f"{key}0",
        f"{key} ",
        key.upper(),
        secret,
        "dnyt_\u0661_" + "0" * 64,
        "x" * 100_000,
        "",
    ]
    assert [one for one in wrong if ring.entry(one) is not None] == []
    assert Keyring().entry(key) is None


def test_entries_are_read_as_they_were_written() -> None:
    entries = [made()[1], made("ops", ["read", "admin"], ["station-01", "hall-*"])[1]]
    text = b"\n".join(map(entry_line, entries))
    assert read_entries(text) == entries
    assert read_entries(b"") == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"{", "line 1"),
        (b"\n\xff\n", "line 2"),
        (line(scopes=[]), "scopes"),
        (line(scopes=["delete"]), "delete"),
        (line(sha256="00"), "sha256"),
        (line(sha256=None), "sha256"),
        (line(id="a b"), "id"),
        (line(name=""), "name"),
        (line(devices=[]), "devices"),
        (line(devices=["*"]), "devices"),
        (line(devices=["a*b"]), "devices"),
        (line(device=["d1"]), "device"),
        (line(id="a") + b"\n" + line(id="a"), "line 2: the id a stands there twice"),
    ],
)
def test_a_bad_entry_is_refused_by_line_and_reason(text: bytes, word: str) -> None:
    with pytest.raises(KeyEntryError, match=word):
        read_entries(text)


@pytest.mark.parametrize(("name", "device"), [("a b", "d1"), ("ops", "a b"), ("ops", "*")])
def test_a_key_is_not_made_for_a_malformed_name(name: str, device: str) -> None:
    with pytest.raises(KeyEntryError):
        made(name, devices=[device])


def test_a_key_may_be_limited_to_names_and_prefixes() -> None:
    limited = made(devices=["station-01", "hall-*"])[1]
    assert limited.is_limited
    asked = ["station-01", "station-011", "station-0", "hall-", "hall-7", "hal", "HALL-7"]
    assert [one for one in asked if limited.covers(one)] == ["station-01", "hall-", "hall-7"]
    assert not made()[1].is_limited
    assert made()[1].covers("anything")
