"""The reference of all settings, made from their declarations: `python -m docs.reference`.

With `--check` it says whether docs/settings.md is as it would be written now.
"""

import sys
from pathlib import Path

from api.settings import ApiSettings
from broker.settings import BrokerSettings
from ingest.inbox_settings import InboxSettings
from ingest.settings import IngestSettings
from loadtest.settings import LoadtestSettings
from sensors.settings import SensorsSettings
from stack.grafana.settings import GrafanaSettings
from stack.setup.settings import SetupSettings
from stack.swarm.settings import DeploySettings
from telemetry.audit.settings import AuditSettings
from telemetry.settings import Declared, Settings, declarations

PAGE = Path(__file__).with_name("settings.md")

_SERVICES: tuple[type[Settings], ...] = (
    BrokerSettings,
    SensorsSettings,
    IngestSettings,
    InboxSettings,
    ApiSettings,
    AuditSettings,
    LoadtestSettings,
    SetupSettings,
    GrafanaSettings,
    DeploySettings,
)
_HEAD = """# Settings

Every service takes its settings from the environment and checks all of them before it opens a
socket: a wrong one is an error of one line and exit code 2. A secret is best given as a file:
`NAME_FILE` holds its path, `NAME` would hold the secret itself.

This page is made from the declarations by `make docs`.
"""


def page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_section(settings) for settings in _SERVICES)


def _section(settings: type[Settings]) -> str:
    intent = (settings.__doc__ or "").strip().splitlines()[0]
    rows = [_row(declared) for declared in declarations(settings)]
    table = ["| variable | takes | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join(["", f"## {settings.prefix.lower()}", intent, "", *table, ""])


def _row(declared: Declared) -> str:
    variable = f"{declared.variable}_FILE" if declared.is_secret else declared.variable
    takes = "a file that holds the secret" if declared.is_secret else declared.allowed
    cells = [f"`{variable}`", takes, _default(declared), declared.help]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(declared: Declared) -> str:
    if declared.required:
        return "must be set"
    if declared.default is None:
        return "none"
    return f"`{declared.default}`" if declared.default != "" else "empty"


def main() -> None:
    """Write the page, or check it and exit with 1 where it is out of date."""
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/settings.md is not as the declarations say: make docs")


if __name__ == "__main__":
    main()
