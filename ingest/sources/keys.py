"""The senders' keys: who brings one that is known may write for the devices that it names."""

from pathlib import Path

from ingest.grant import EVERYTHING, Grant
from telemetry.keys import KeyEntry
from telemetry.keys import file as key_file
from telemetry.keys.file import KeyFile
from telemetry.settings import SettingError

_SCOPE = "write"


class SenderKeys:
    """The keys of a file as it is now; SettingError where it cannot be read to begin with."""

    def __init__(self, path: Path) -> None:
        try:
            key_file.load(path)
        except SettingError as error:
            raise SettingError(
                f"INGEST_KEYS_FILE={error} (`python -m ingest keys make` makes one)"
            ) from error
        self._file = KeyFile(path)

    def grant(self, key: str) -> Grant | None:
        """Return what a key allows, None where it is not known: the same time passes for each."""
        entry = self._file.keyring().entry(key)
        return None if entry is None else _grant(entry)

    def is_known(self, key: str) -> bool:
        """Whether a key is in force, if only for something else."""
        return self._file.keyring().entry(key) is not None


def _grant(entry: KeyEntry) -> Grant | None:
    if _SCOPE not in entry.scopes:
        return None
    return Grant(tuple(entry.devices or ())) if entry.is_limited else EVERYTHING
