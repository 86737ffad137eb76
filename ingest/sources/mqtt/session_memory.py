"""What ingest remembers of its session at the broker: which filters it has subscribed to.

MQTT has no way to ask a broker for a session's subscriptions. One that is no longer wanted would go
on filling the session, so what was subscribed is noted down, in a file beside the spool.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from ingest.durable import make_folder, replace_durably


class _Remembered(Struct, frozen=True):
    client_id: str
    filters: tuple[str, ...]


class SessionMemory:
    """The file of one ingest; a missing or unreadable one remembers nothing."""

    def __init__(self, folder: Path, client_id: str) -> None:
        self._path = folder / "session.json"
        self._client_id = client_id

    def filters(self) -> set[str]:
        """Return what the session was last subscribed to, as far as it is known."""
        try:
            remembered = msgspec.json.decode(self._path.read_bytes(), type=_Remembered)
        except (OSError, UnicodeDecodeError, msgspec.DecodeError):
            return set()
        return set(remembered.filters) if remembered.client_id == self._client_id else set()

    def remember(self, filters: set[str]) -> None:
        """Note what the session is subscribed to, where that is new. Raises OSError."""
        if filters != self.filters():
            make_folder(self._path.parent)
            remembered = _Remembered(self._client_id, tuple(sorted(filters)))
            replace_durably(self._path, msgspec.json.encode(remembered))

    def forget(self) -> None:
        """Remove the file: the session has ended."""
        self._path.unlink(missing_ok=True)
