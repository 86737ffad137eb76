"""Opening the store that a URL names: the one place that chooses between the real ones."""

from urllib.parse import unquote, urlsplit

from telemetry.settings import SettingError
from telemetry.store import Store
from telemetry.store.sqlite import SQLiteStore


def open_store(url: str, *, read_only: bool = False, timeout_seconds: float = 10.0) -> Store:
    """Open the store at `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return SQLiteStore(
            unquote(parts.path[1:]), read_only=read_only, timeout_seconds=timeout_seconds
        )
    raise SettingError(f"store {url!r}: sqlite:///PATH is allowed")
