"""A file of keys: read, noticed when it changes, added to and taken from."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from telemetry import log
from telemetry.keys import KeyEntry, KeyEntryError, Keyring, entry_line, read_entries
from telemetry.settings import SettingError

_log = log.get(__name__)

# What differs between two states of a file: replaced, written to, or grown within one tick.
_Signature = tuple[int, int, int, int]


def load(path: Path) -> list[KeyEntry]:
    """Return a file's entries; SettingError, in one line, where it cannot be read."""
    try:
        return read_entries(path.read_bytes())
    except OSError as error:
        raise SettingError(f"{str(path)!r}: cannot be read: {error.strerror}") from error
    except KeyEntryError as error:
        raise SettingError(f"{str(path)!r}: {error}") from error


def add(path: Path, entry: KeyEntry) -> None:
    """Append an entry; a new file is for its owner only. OSError where it cannot be written."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with open(descriptor, "r+b") as file:  # noqa: PTH123 - the mode is given where it is made
        text = file.read()
        file.write((b"\n" if text and not text.endswith(b"\n") else b"") + entry_line(entry))
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path, key_id: str) -> bool:
    """Take an entry out and say whether it was there; the file is replaced in one step."""
    path = path.resolve()
    entries = load(path)
    kept = [entry for entry in entries if entry.id != key_id]
    if len(kept) == len(entries):
        return False
    before = path.stat()
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("xb") as file:
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            with suppress(PermissionError):  # whoever may not give it away owns it already
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(b"".join(map(entry_line, kept)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return True


class KeyFile:
    """The keys of a file as it is now: each question looks whether the file has changed.

    A file that has become unreadable leaves the keys in force as they were, with an ERROR line:
    a slip of the pen must not lock everybody out. Until it could be read once nobody gets in.
    `entry` takes a key that was in force within the last `trusted_seconds` for one that still is.
    """

    def __init__(self, path: Path, *, trusted_seconds: float = 0.0) -> None:
        self._path = path
        self._trusted_seconds = trusted_seconds
        self._look_again_s = 0.0
        self._lock = threading.Lock()
        self._seen: _Signature | None = None
        self._trouble = ""
        self._keyring = Keyring()

    def entry(self, key: str) -> KeyEntry | None:
        """Return a key's entry, None where it is not in force; one that was added is so at once."""
        if time.monotonic() < self._look_again_s:
            found = self._keyring.entry(key)
            if found is not None:
                return found
        return self.keyring().entry(key)

    def keyring(self) -> Keyring:
        """Return the keys in force; costs one stat() where nothing has changed."""
        self._look_again_s = time.monotonic() + self._trusted_seconds
        try:
            signature = _signature(self._path)
        except OSError as error:
            self._seen = None
            self._complain(f"{str(self._path)!r}: cannot be read: {error.strerror}")
            return self._keyring
        if signature != self._seen:
            with self._lock:
                self._read(signature)
        return self._keyring

    def _read(self, signature: _Signature) -> None:
        if signature == self._seen:
            return  # another thread was faster
        try:
            self._keyring = Keyring(load(self._path))
        except SettingError as error:
            self._complain(str(error))
        else:
            self._trouble = ""
            _log.info("keys read", keys=len(self._keyring))
        # Of before it was read: what was written meanwhile is a further change.
        self._seen = signature

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            _log.error("keys stay as they were", reason=trouble)


def _signature(path: Path) -> _Signature:
    found = path.stat()
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
