"""Who may ask: the key that a request brings, checked before any route is reached."""

import ipaddress
from pathlib import Path

from flask import Request, current_app, request

from api.cors import Origins
from api.ends import on_end
from api.figures import Figures
from api.gates import KeyShares
from api.openapi.declaration import declaration_of
from api.problems import KeyWanted, NotAllowed
from api.settings import ApiSettings
from telemetry.keys import KeyEntry, Scope
from telemetry.keys import file as key_file
from telemetry.keys.file import KeyFile
from telemetry.settings import SettingError

# Where no key is asked for: what tells nothing of devices, and the page that asks for one.
_OPEN_BLUEPRINTS = frozenset({"health", "page", "document"})
_OPEN_ENDPOINTS = frozenset({"static"})
# Where `device=` narrows a route over many devices down to one.
_BLUEPRINTS_BY_DEVICE = frozenset({"stream"})
_GUARDED_PATH = "/v1"


def check_settings(settings: ApiSettings) -> None:
    """Raise SettingError where the API would be open to others by oversight, or to nobody."""
    Origins(settings.cors_origins)
    if settings.keys_file:
        if settings.open:
            raise SettingError("API_OPEN and API_KEYS_FILE are both set: keep one of them")
        try:
            key_file.load(Path(settings.keys_file))
        except SettingError as error:
            raise SettingError(f"API_KEYS_FILE={error}") from error
    elif not settings.open and not is_loopback(settings.http_host):
        raise SettingError(
            f"API_HTTP_HOST={settings.http_host!r} is not loopback and API_KEYS_FILE is not set: "
            "name a file of keys (made by `python -m api keys make --name NAME --scope read "
            "--file FILE`), or set API_OPEN=true to let everybody read everything"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """The gate: open to all where no file of keys is named."""

    def __init__(self, settings: ApiSettings, figures: Figures) -> None:
        self._keys = KeyFile(Path(settings.keys_file)) if settings.keys_file else None
        self._figures = figures
        self._shares = KeyShares(figures, settings.max_key_requests)

    def is_known(self) -> bool:
        """Whether the one who asks may be told more than a stranger."""
        return self._keys is None or self._entry(self._keys) is not None

    def check(self) -> None:
        """Let a request pass, or raise KeyWanted or NotAllowed."""
        if self._keys is None or _is_open_to_all():
            return
        entry = self._entry(self._keys)
        if entry is None:
            raise self._wanted()
        scope = _needed_scope()
        if scope not in entry.scopes:
            self._figures.count_refusal("scope")
            raise NotAllowed(f"This key has not the scope {scope!r}.", scope)
        self._check_devices(entry, scope)
        if self._shares.take(entry.id):
            on_end(request.environ, lambda: self._shares.give_back(entry.id))

    def admits(self, key: str | None, device: str | None) -> bool:
        """Whether a key that was let in is still in force for reading a device, or all of them."""
        if self._keys is None:
            return True
        entry = self._keys.keyring().entry(key) if key is not None else None
        if entry is None or "read" not in entry.scopes:
            return False
        return not entry.is_limited or (device is not None and entry.covers(device))

    def _check_devices(self, entry: KeyEntry, scope: Scope) -> None:
        # A route over many devices would have to leave some out: such a key has no use of it yet.
        device = (request.view_args or {}).get("device")
        if device is None and request.blueprint in _BLUEPRINTS_BY_DEVICE:
            device = request.args.get("device")
        if entry.is_limited and (device is None or not entry.covers(device)):
            self._figures.count_refusal("device")
            raise NotAllowed("This key is for other devices only, asked for one by one.", scope)

    def _wanted(self) -> KeyWanted:
        if given_key(request) is None:
            self._figures.count_refusal("missing")
            return KeyWanted("A key is needed: `Authorization: Bearer dnyt_…`, or `X-API-Key`.")
        self._figures.count_refusal("unknown")
        return KeyWanted("This key is not known, or was revoked.", "invalid_token")

    @staticmethod
    def _entry(keys: KeyFile) -> KeyEntry | None:
        key = given_key(request)
        return None if key is None else keys.keyring().entry(key)


def given_key(request: Request) -> str | None:
    """Return the key that a request brings, or None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key", "").strip() or None


def _is_open_to_all() -> bool:
    if request.url_rule is None:  # no route: what is refused under /v1 tells a stranger nothing
        path = request.path
        return path != _GUARDED_PATH and not path.startswith(f"{_GUARDED_PATH}/")
    return request.endpoint in _OPEN_ENDPOINTS or request.blueprint in _OPEN_BLUEPRINTS


def _needed_scope() -> Scope:
    declared = declaration_of(current_app.view_functions.get(request.endpoint or ""))
    # What declares itself open stands under /v1 by oversight: it is asked for a key all the same.
    return (declared.scope if declared else None) or "read"
