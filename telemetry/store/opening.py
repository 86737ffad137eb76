"""Opening the store that the settings name: the one place that chooses between the real ones."""

from collections.abc import Callable
from functools import partial
from urllib.parse import unquote, urlsplit

from telemetry.settings import Secret, SettingError
from telemetry.store import Store
from telemetry.store.settings import StoreSettings

_ALLOWED = "http://HOST:8086 or sqlite:///PATH is allowed"


def open_store(settings: StoreSettings, *, read_only: bool = False) -> Store:
    """Return the store; nothing is connected before its first call. Raises SettingError."""
    return store_opener(settings, read_only=read_only)()


def store_opener(settings: StoreSettings, *, read_only: bool = False) -> Callable[[], Store]:
    """Return what opens the store, for who begins with other things. Raises SettingError."""
    parts = urlsplit(settings.store_url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        return partial(_open_sqlite, settings, unquote(parts.path[1:]), read_only=read_only)
    if parts.scheme in ("http", "https") and parts.netloc:
        if settings.store_token is None:
            needed = f"{settings.prefix}_STORE_TOKEN_FILE"
            raise SettingError(f"{needed} is not set: {settings.store_url} asks for a token")
        return partial(_open_influxdb, settings, settings.store_token, read_only=read_only)
    raise SettingError(f"{settings.prefix}_STORE_URL={settings.store_url!r}: {_ALLOWED}")


# Each store is imported where it is opened: the other one's client is not needed.
def _open_sqlite(settings: StoreSettings, path: str, *, read_only: bool) -> Store:
    from telemetry.store.sqlite import SQLiteStore

    return SQLiteStore(path, read_only=read_only, timeout_seconds=settings.store_timeout_seconds)


def _open_influxdb(settings: StoreSettings, token: Secret, *, read_only: bool) -> Store:
    from telemetry.store.influxdb import InfluxStore
    from telemetry.store.influxdb.session import Place

    return InfluxStore(
        Place(settings.store_url.rstrip("/"), settings.store_org, settings.store_bucket),
        token,
        read_only=read_only,
        timeout_seconds=settings.store_timeout_seconds,
    )
