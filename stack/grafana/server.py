"""One Grafana, asked through the package `grafana-api`: each answer is of a known shape."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import requests
from grafana_api.grafana_api import GrafanaClientError, GrafanaException
from grafana_api.grafana_face import GrafanaFace
from msgspec import Struct

from stack.grafana import GrafanaError
from stack.grafana.settings import GrafanaSettings

OLDEST = (11, 0)
_NOT_FOUND, _UNAUTHORIZED, _FORBIDDEN = 404, 401, 403

Json = dict[str, Any]
Shape = TypeVar("Shape")


class Folder(Struct, frozen=True):
    """A folder of dashboards."""

    uid: str
    title: str


class Found(Struct, frozen=True, rename="camel"):
    """A dashboard as the search names it."""

    uid: str
    title: str
    folder_uid: str = ""


class Source(Struct, frozen=True, rename="camel"):
    """A data source; its secrets are told by name only."""

    uid: str
    name: str
    type: str
    url: str = ""
    access: str = ""
    json_data: Json | None = None
    read_only: bool = False


class Meta(Struct, frozen=True, rename="camel"):
    """What Grafana knows of a dashboard beside its own text."""

    folder_uid: str = ""
    provisioned: bool = False


class Saved(Struct, frozen=True):
    """A dashboard as it is stored."""

    dashboard: Json
    meta: Meta


class GrafanaServer:
    """Every method raises GrafanaError."""

    def __init__(self, settings: GrafanaSettings) -> None:
        parts = urlsplit(settings.url)
        self._url = settings.url
        path = parts.path.strip("/")
        self._face = GrafanaFace(
            auth=settings.token.value,
            host=f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname,
            port=parts.port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            verify=settings.ca_file or True,
            timeout=settings.timeout_seconds,
        )
        # A .netrc would take the place of the token, and a proxy of the environment see it.
        self._face.api.s.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._face.api.s.close()

    def check(self) -> None:
        """Raise where it is no Grafana, too old, or does not take the token."""
        health = self._asked(lambda: self._face.api.GET("/health"), Json)
        if "database" not in health:
            raise GrafanaError(f"{self._url} does not answer as Grafana does")
        numbers = re.match(r"(\d+)\.(\d+)", str(health.get("version", "")))
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            needed = ".".join(map(str, OLDEST))
            raise GrafanaError(f"{self._url} is Grafana {health['version']}: {needed} is needed")
        self._asked(lambda: self._face.organization.get_current_organization(), Json)

    def folders(self) -> list[Folder]:
        """Return the folders that are in no other."""
        return self._asked(lambda: self._face.api.GET("/folders?limit=1000"), list[Folder])

    def create_folder(self, folder: Folder) -> None:
        """Make a folder."""
        self._asked(lambda: self._face.folder.create_folder(folder.title, folder.uid), Json)

    def delete_folder(self, uid: str) -> None:
        """Remove a folder."""
        self._asked(lambda: self._face.folder.delete_folder(uid), Json)

    def sources(self) -> list[Source]:
        """Return the data sources."""
        return self._asked(self._face.datasource.list_datasources, list[Source])

    def create_source(self, source: Mapping[str, Any]) -> None:
        """Make a data source, with its secrets."""
        self._asked(lambda: self._face.datasource.create_datasource(source), Json)

    def update_source(self, source: Mapping[str, Any]) -> None:
        """Write a data source; secrets that are not given stay as they are."""
        # The package knows numbers only, which Grafana 12 does not take any more.
        path = f"/datasources/uid/{quote(source['uid'], safe='')}"
        self._asked(lambda: self._face.api.PUT(path, json=source), Json)

    def delete_source(self, uid: str) -> None:
        """Remove a data source."""
        path = f"/datasources/uid/{quote(uid, safe='')}"
        self._asked(lambda: self._face.api.DELETE(path), Json)

    def dashboards_in(self, folder_uid: str) -> list[Found]:
        """Return the dashboards of a folder."""
        asked = urlencode({"type": "dash-db", "folderUIDs": folder_uid, "limit": 5000})
        return self._asked(lambda: self._face.api.GET(f"/search?{asked}"), list[Found])

    def dashboard(self, uid: str) -> Saved | None:
        """Return a dashboard, or None where there is none of this uid."""
        try:
            return self._asked(lambda: self._face.dashboard.get_dashboard(uid), Saved)
        except _NoSuchThing:
            return None

    def save_dashboard(self, dashboard: Mapping[str, Any], folder_uid: str, message: str) -> None:
        """Write a dashboard into a folder."""
        body = {
            "dashboard": {**dashboard, "id": None},
            "folderUid": folder_uid,
            "message": message,
            "overwrite": True,
        }
        self._asked(lambda: self._face.dashboard.update_dashboard(body), Json)

    def delete_dashboard(self, uid: str) -> None:
        """Remove a dashboard."""
        self._asked(lambda: self._face.dashboard.delete_dashboard(uid), Json)

    def annotate(self, text: str, tags: list[str], start_ms: int, stop_ms: int | None) -> None:
        """Set a mark, at a time or over a range."""
        self._asked(
            lambda: self._face.annotations.add_annotation(
                time_from=start_ms, time_to=stop_ms or start_ms, tags=tags, text=text
            ),
            Json,
        )

    def _asked(self, ask: Callable[[], object], shape: type[Shape]) -> Shape:
        with self._errors():
            try:
                return msgspec.convert(ask(), shape)
            except (ValueError, TypeError) as error:
                raise GrafanaError(f"{self._url} does not answer as Grafana does") from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except GrafanaException as error:
            raise self._refusal(error) from error
        except requests.exceptions.SSLError as error:
            raise GrafanaError(f"{self._url}: its certificate is not trusted ({error})") from error
        except requests.exceptions.Timeout as error:
            raise GrafanaError(f"{self._url} does not answer in time") from error
        except requests.exceptions.JSONDecodeError as error:
            raise GrafanaError(f"{self._url} does not answer as Grafana does") from error
        except requests.exceptions.RequestException as error:
            raise GrafanaError(f"{self._url} cannot be reached") from error

    def _refusal(self, error: GrafanaException) -> GrafanaError:
        if error.status_code == _UNAUTHORIZED:
            return GrafanaError(f"{self._url} does not take the token of GRAFANA_TOKEN_FILE")
        if error.status_code == _NOT_FOUND and isinstance(error, GrafanaClientError):
            return _NoSuchThing(f"{self._url} does not know what is asked")
        said = error.response.get("message") if isinstance(error.response, dict) else None
        said = " ".join(str(said or error.message).split())[:200]
        if error.status_code == _FORBIDDEN:
            return GrafanaError(f"{self._url}: the token may not do that ({said})")
        return GrafanaError(f"{self._url}: {said} ({error.status_code})")


class _NoSuchThing(GrafanaError):
    """Raised for a 404."""
