"""The files that the dashboards and the alert rules are written to."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from stack.dashboards import alerts
from stack.dashboards.delivery import delivery
from stack.dashboards.device import device
from stack.dashboards.fleet import fleet
from stack.dashboards.load_test import load_test
from stack.dashboards.pipeline import pipeline

FOLDER_PATH = Path(__file__).parents[1] / "grafana"


def dashboards() -> list[Dashboard]:
    """Return all dashboards."""
    return [fleet(), device(), delivery(), pipeline(), load_test()]


def files() -> Mapping[Path, str]:
    """Return what each file holds."""
    made = {FOLDER_PATH / "dashboards" / f"{one.uid}.json": as_json(one) for one in dashboards()}
    return {**made, FOLDER_PATH / "alerts.yaml": _as_yaml(alerts.provisioned())}


def as_json(model: object) -> str:
    """Return a model of the SDK as text that can be read and compared."""
    return json.dumps(model, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _as_yaml(made: object) -> str:
    plain = json.loads(json.dumps(made, cls=JSONEncoder))
    head = "# Written by `make dashboards` out of stack/dashboards/alerts.py.\n"
    return head + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
