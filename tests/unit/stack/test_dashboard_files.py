"""What Grafana is given: as the code says, whole, and fit to be provisioned."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.alerting import Rule
from grafana_foundation_sdk.models.dashboard import Dashboard

from api.app import create_app
from api.settings import ApiSettings
from api.status_board import StatusBoard
from stack.dashboards.pipeline import ROUTES, STREAM
from stack.dashboards.written import FOLDER_PATH, files
from telemetry.store.opening import open_store

ROOT = FOLDER_PATH.parents[1]
DASHBOARDS = sorted((FOLDER_PATH / "dashboards").glob("*.json"))
ALERTS = yaml.safe_load((FOLDER_PATH / "alerts.yaml").read_text())
SOURCES = yaml.safe_load((FOLDER_PATH / "datasources.yaml").read_text())["datasources"]
RULES = ALERTS["groups"][0]["rules"]
KNOWN_VARIABLES = {"timeFilter", "__interval", "__url_time_range", "__data"}

every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def plain(model: object) -> Any:
    return json.loads(json.dumps(model, cls=JSONEncoder))


def sources(value: Any) -> Iterator[str]:
    """Every data source that is named anywhere."""
    if isinstance(value, dict):
        if isinstance(value.get("datasource"), dict):
            yield value["datasource"]["uid"]
        for one in value.values():
            yield from sources(one)
    elif isinstance(value, list):
        for one in value:
            yield from sources(one)


def test_the_committed_files_are_what_the_code_writes() -> None:
    stale = [path.name for path, text in files().items() if path.read_text() != text]

    assert not stale, "make dashboards"
    assert {path for path in files() if path.suffix == ".json"} == set(DASHBOARDS)


@every_dashboard
def test_a_dashboard_goes_through_the_types_of_grafanas_sdk_without_loss(path: Path) -> None:
    register_default_plugins()

    assert plain(Dashboard.from_json(read(path))) == read(path)


@every_dashboard
def test_a_dashboard_is_fit_to_be_provisioned(path: Path) -> None:
    text, found = path.read_text(), read(path)

    assert found["uid"] == path.stem
    assert found["editable"] is False
    assert "id" not in found
    assert "${DS_" not in text
    assert "__inputs" not in text
    ours = {source["uid"] for source in SOURCES}
    assert set(sources(found)) <= {*ours, "-- Grafana --"}


@every_dashboard
def test_every_panel_says_what_it_shows_in_which_unit_under_a_number_of_its_own(
    path: Path,
) -> None:
    panels = read(path)["panels"]

    for panel in panels:
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    for name in ("id", "title"):
        assert len({panel[name] for panel in panels}) == len(panels)


@every_dashboard
def test_panels_neither_overlap_nor_leave_the_page(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(path)["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


@every_dashboard
def test_every_variable_that_is_used_is_there(path: Path) -> None:
    found = read(path)
    offered = {one["name"] for one in found["templating"]["list"]}
    used = {
        name or short
        for name, short in re.findall(r"\$\{(\w+)[^}]*\}|\$(\w+)", path.read_text())
        if (name or short) not in {"tag_device", "col", "m", "__all"}
    }

    assert used <= offered | KNOWN_VARIABLES
    assert {one.get("repeat") for one in found["panels"]} <= offered | {None}


@every_dashboard
def test_no_name_is_escaped_where_influxql_wants_it_plain(path: Path) -> None:
    """Grafana escapes the dot of a field `tilt.x` where a query does not say how it is wanted."""
    found = read(path)
    asked = [target for panel in found["panels"] for target in panel["targets"]]
    influxql = [one["query"] for one in asked if one["datasource"]["uid"] == "denyut-influxql"]
    offered = [one["query"] for one in found["templating"]["list"]]
    influxql += [query for query in offered if isinstance(query, str)]

    without_format = {name for query in influxql for name in re.findall(r"\$\{(\w+)\}", query)}
    assert without_format <= {"qos"}


@every_rule
def test_a_rule_goes_through_the_types_of_grafanas_sdk_without_loss(rule: dict[str, Any]) -> None:
    of_a_group = {"folderUID": "", "orgID": 0, "ruleGroup": ""}

    assert plain(Rule.from_json(rule)) == {**rule, **of_a_group}


@every_rule
def test_a_rule_asks_a_source_of_ours_and_nothing_of_a_dashboard(rule: dict[str, Any]) -> None:
    asked, *expressions = rule["data"]

    assert asked["datasourceUid"] in {source["uid"] for source in SOURCES}
    assert {one["datasourceUid"] for one in expressions} == {"__expr__"}
    assert set(re.findall(r"\$\{?(\w+)", asked["model"]["query"])) <= {"timeFilter", "__interval"}
    assert rule["condition"] == expressions[-1]["refId"]


@every_rule
def test_a_rule_has_a_runbook_that_says_what_to_do(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]

    text = page.read_text()
    assert text.startswith(f"# {rule['title']}\n")
    for heading in ("## What it means", "## Look", "## Do"):
        assert heading in text
    assert f"({page.name})" in (page.parent / "README.md").read_text()


def test_every_rule_is_somebodys_to_hear() -> None:
    (policy,), (contact,) = ALERTS["policies"], ALERTS["contactPoints"]

    assert policy["receiver"] == contact["name"]
    assert contact["receivers"]
    assert len({rule["uid"] for rule in RULES}) == len(RULES) == 7


def test_no_secret_stands_in_a_file_and_nobody_edits_a_source() -> None:
    for source in SOURCES:
        assert source["editable"] is False
        for secret in source["secureJsonData"].values():
            assert re.fullmatch(r"(Token )?\$__file\{/run/secrets/grafana-token\}", secret)
    assert [source["uid"] for source in SOURCES if source.get("isDefault")] == ["denyut-influxql"]


def test_the_panels_of_the_api_show_every_route_that_answers_with_data(tmp_path: Path) -> None:
    settings = ApiSettings(store_url=f"sqlite:///{tmp_path}/store.db")
    app = create_app(settings, open_store(settings), StatusBoard(1))

    assert {*ROUTES, STREAM} == set(app.blueprints) - {"page", "document", "health"}


def test_what_devices_measure_may_be_below_zero() -> None:
    panels = [panel for path in DASHBOARDS for panel in read(path)["panels"]]
    of_fields = [panel for panel in panels if panel["title"].startswith("${field}")]

    assert len(of_fields) == 2
    assert all("min" not in panel["fieldConfig"]["defaults"] for panel in of_fields)
