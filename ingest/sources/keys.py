"""The senders' keys: who brings one that is known may write for the devices that it names."""

from pathlib import Path
from typing import Protocol

from ingest.grant import EVERYTHING, Grant
from telemetry.keys import KeyEntry
from telemetry.keys import file as key_file
from telemetry.keys.file import KeyFile
from telemetry.settings import SettingError

_SCOPE = "write"
_TRUSTED_SECONDS = 1.0  # a request that looks at the file costs more than one that does not


class Keys(Protocol):
    """Who may send over TCP and HTTP."""

    def grant(self, key: str) -> Grant | None:
        """Return what a key allows, None where it is not known: the same time passes for each."""
        ...

    def is_known(self, key: str) -> bool:
        """Whether a key is in force, if only for something else."""
        ...


class SenderKeys:
    """The keys of a file, one that was added at once and one that was revoked for a second more.

    SettingError where it cannot be read to begin with.
    """

    def __init__(self, path: Path) -> None:
        try:
            key_file.load(path)
        except SettingError as error:
            raise SettingError(
                f"INGEST_KEYS_FILE={error} (`python -m ingest keys make` makes one)"
            ) from error
        self._file = KeyFile(path, trusted_seconds=_TRUSTED_SECONDS)

    def grant(self, key: str) -> Grant | None:
        """Return what a key allows; of the Keys protocol."""
        entry = self._file.entry(key)
        return None if entry is None else _grant(entry)

    def is_known(self, key: str) -> bool:
        """Whether a key is in force; of the Keys protocol."""
        return self._file.entry(key) is not None


def _grant(entry: KeyEntry) -> Grant | None:
    if _SCOPE not in entry.scopes:
        return None
    return Grant(tuple(entry.devices or ())) if entry.is_limited else EVERYTHING
