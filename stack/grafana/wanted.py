"""What a Grafana shall hold: the folder, data sources and dashboards of the files beside this."""

import json
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from stack.grafana.server import Folder, Json
from stack.grafana.settings import GrafanaSettings
from telemetry.settings import SettingError

_HERE = Path(__file__).parent


class Wanted(Struct, frozen=True):
    """The folder, the data sources without their secrets, and the dashboards."""

    folder: Folder
    sources: list[Json]
    dashboards: list[Json]


def wanted(settings: GrafanaSettings) -> Wanted:
    """Return what the files say, with the store's address as the settings say it."""
    (provider,) = _yaml("dashboards.yaml")["providers"]
    return Wanted(
        Folder(provider["folderUid"], provider["folder"]),
        [_source(one, settings) for one in _yaml("datasources.yaml")["datasources"]],
        [json.loads(path.read_bytes()) for path in sorted(_HERE.glob("dashboards/*.json"))],
    )


def secrets_of(source: Json, settings: GrafanaSettings) -> Json:
    """Return the secret part of a data source. Raises SettingError where there is no token."""
    if settings.store_token is None:
        raise SettingError("GRAFANA_STORE_TOKEN_FILE is not set: data sources need it")
    token = settings.store_token.value
    if source["jsonData"].get("version") == "Flux":
        return {"token": token}
    return {"httpHeaderValue1": f"Token {token}"}


def _source(one: Json, settings: GrafanaSettings) -> Json:
    told = {"organization": settings.store_org} if "organization" in one["jsonData"] else {}
    return {
        **{name: one[name] for name in ("uid", "name", "type", "access")},
        "url": settings.store_url,
        "jsonData": {**one["jsonData"], **told},
        # Which source is the default is the choice of those whose Grafana it is.
        "isDefault": False,
    }


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_HERE / name).read_text(encoding="utf-8"))
    return found
