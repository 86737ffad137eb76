"""Keys: how they look, what stands of them in a file, and what each may do.

A key is `dnyt_ID_SECRET`. The file holds a line of JSON for each, with a hash in place of the
secret, so that who reads the file has no key. `read`, `command` and `admin` are for the API;
`write` is for ingest.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from telemetry.reading import Name
from telemetry.worked_out import worked_out

Scope = Literal["read", "command", "admin", "write"]

_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY = re.compile(r"dnyt_([a-z0-9]{1,32})_([A-Za-z0-9_-]{32,128})", re.ASCII)

KeyId = Annotated[str, Meta(pattern=r"^[a-z0-9]{1,32}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
DevicePattern = Annotated[
    str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\*?)$", max_length=65)
]


class KeyEntryError(Exception):
    """Raised when a line of a file of keys cannot be read; says which and why."""


@worked_out
class KeyEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key as it stands in the file; `devices` limits it to names, and prefixes ending in `*`.

    SHA-256 once is enough: a slow hash protects words that people choose from being guessed, and
    nobody guesses 256 random bits. A slow one would be paid with every request.
    """

    id: KeyId
    name: Name
    sha256: Sha256
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    devices: Annotated[list[DevicePattern], Meta(min_length=1)] | UnsetType = UNSET
    made: str = ""

    @property
    def is_limited(self) -> bool:
        """Whether the key is for some devices only."""
        return self.devices is not UNSET

    def covers(self, device: str) -> bool:
        """Whether the key is for a device."""
        return self.devices is UNSET or any(matches(one, device) for one in self.devices)


def make_key(
    name: str, scopes: list[Scope], devices: list[str] | None, *, made: str
) -> tuple[str, KeyEntry]:
    """Return a new key and its entry; KeyEntryError where a name or a pattern is malformed."""
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES)
    given = {
        "id": key_id,
        "name": name,
        "sha256": _hash(secret).hex(),
        "scopes": scopes,
        "made": made,
        **({"devices": devices} if devices else {}),
    }
    try:
        return f"dnyt_{key_id}_{secret}", msgspec.convert(given, KeyEntry)
    except msgspec.ValidationError as error:
        raise KeyEntryError(str(error)) from error


def entry_line(entry: KeyEntry) -> bytes:
    """Return an entry as its line in the file."""
    return msgspec.json.encode(entry) + b"\n"


def read_entries(text: bytes) -> list[KeyEntry]:
    """Return the entries of a file, empty lines passed over; KeyEntryError for a bad one."""
    entries: dict[str, KeyEntry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=KeyEntry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeyEntryError(f"line {number}: {error}") from error
        if entry.id in entries:
            raise KeyEntryError(f"line {number}: the id {entry.id} stands there twice")
        entries[entry.id] = entry
    return list(entries.values())


class Keyring:
    """The keys that are in force."""

    def __init__(self, entries: Iterable[KeyEntry] = ()) -> None:
        self._entries = {entry.id: (entry, bytes.fromhex(entry.sha256)) for entry in entries}

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, key: str) -> KeyEntry | None:
        """Return a key's entry, or None for a wrong secret, an unknown id, or what is no key."""
        found = _KEY.fullmatch(key)
        if found is None:
            return None
        # An unknown id takes as long as a wrong secret: the time tells nothing about ids.
        entry, sha256 = self._entries.get(found[1], (None, _NO_SHA256))
        return entry if hmac.compare_digest(_hash(found[2]), sha256) else None


_NO_SHA256 = secrets.token_bytes(hashlib.sha256().digest_size)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def matches(pattern: str, device: str) -> bool:
    """Tell whether a device is meant by a name, or by the beginning of names that ends in `*`."""
    if pattern.endswith("*"):
        return device.startswith(pattern[:-1])
    return device == pattern
