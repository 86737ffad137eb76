"""Panels as they are wanted here, made into the SDK's types: lines, numbers and tables."""

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.models import common, stat, timeseries
from grafana_foundation_sdk.models import table as tables
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardLink,
    DashboardLinkType,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    GridPos,
    MatcherConfig,
    Panel,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
)

from stack.dashboards.queries import Target

GREEN, ORANGE, RED = "green", "orange", "red"
Steps = Sequence[tuple[float, str]]
"""From which value on a colour holds; green below the first."""

# A panel is as wide as many points as it has pixels: a number is narrow, and yet asks whole ranges.
_POINTS_BEHIND_A_NUMBER = 1_000
_POINTS_OF_LINES = 400
_LINES: dict[str, Any] = {
    "drawStyle": "line",
    "lineWidth": 1,
    "fillOpacity": 8,
    "showPoints": "never",
    "spanNulls": 120_000,
}


def lines(
    title: str,
    about: str,
    *targets: Target,
    unit: str,
    width: int = 12,
    height: int = 8,
    steps: Steps = (),
    interval: str = "30s",
    repeat: str | None = None,
    stack: bool = False,
    points: int = _POINTS_OF_LINES,
    from_zero: bool = True,
) -> Panel:
    """Return a panel of series over time; steps are drawn as lines.

    `from_zero` is for what counts: Grafana draws nothing below, and what devices measure may be.
    """
    custom = dict(_LINES)
    if steps:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    if stack:
        custom |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 30}
    panel = _panel("timeseries", title, about, targets, width=width, height=height, repeat=repeat)
    panel.interval = interval
    panel.max_data_points = points
    panel.options = timeseries.Options.from_json(
        {
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    )
    drawn = common.GraphFieldConfig.from_json(custom)
    panel.field_config = _field_config(unit, steps, custom=drawn, least=0 if from_zero else None)
    return panel


def number(
    title: str,
    about: str,
    *targets: Target,
    unit: str,
    width: int = 4,
    height: int = 4,
    steps: Steps = (),
    repeat: str | None = None,
    none: str = "-",
) -> Panel:
    """Return a panel of numbers: the last value of each field, coloured by the steps."""
    panel = _panel("stat", title, about, targets, width=width, height=height, repeat=repeat)
    panel.interval = "10s"
    panel.max_data_points = _POINTS_BEHIND_A_NUMBER
    panel.options = stat.Options.from_json(
        {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    )
    panel.field_config = _field_config(unit, steps)
    panel.field_config.defaults.no_value = none
    return panel


def table(
    title: str,
    about: str,
    *targets: Target,
    unit: str,
    width: int = 12,
    height: int = 9,
    overrides: Sequence[DashboardFieldConfigSourceOverrides] = (),
) -> Panel:
    """Return a table of the answer's columns."""
    panel = _panel("table", title, about, targets, width=width, height=height)
    cells = common.TableFieldOptions.from_json({"align": "auto", "filterable": True})
    panel.options = tables.Options.from_json({"showHeader": True, "cellHeight": "sm"})
    panel.field_config = _field_config(unit, (), custom=cells)
    panel.field_config.overrides = list(overrides)
    return panel


def column(name: str, **properties: Any) -> DashboardFieldConfigSourceOverrides:
    """Return what is special about a column of a table: its `unit`, `thresholds`, `links`."""
    return DashboardFieldConfigSourceOverrides(
        MatcherConfig("byName", name),
        [DynamicConfigValue(what, value) for what, value in properties.items()],
    )


def coloured(steps: Steps) -> dict[str, Any]:
    """Return the properties of a column whose values are coloured by steps."""
    return {
        "thresholds": _thresholds(steps),
        "custom.cellOptions": {"type": "color-text"},
        "color": {"mode": "thresholds"},
    }


def link(title: str, url: str) -> DashboardLink:
    """Return a link that a cell or a panel carries."""
    return DashboardLink(title=title, type_val=DashboardLinkType.LINK, url=url, keep_time=True)


def _panel(
    kind: str,
    title: str,
    about: str,
    targets: Sequence[Target],
    *,
    width: int,
    height: int,
    repeat: str | None = None,
) -> Panel:
    return Panel(
        type_val=kind,
        title=title,
        description=about,
        targets=[target.named(chr(ord("A") + n)) for n, target in enumerate(targets)],
        datasource=targets[0].source,
        grid_pos=GridPos(h=height, w=width),
        repeat=repeat,
        repeat_direction="h",
        max_per_row=24 // width if repeat else None,
    )


def _field_config(
    unit: str,
    steps: Steps,
    *,
    custom: object | None = None,
    least: float | None = None,
) -> FieldConfigSource:
    mode = FieldColorModeId.THRESHOLDS if not custom else FieldColorModeId.PALETTE_CLASSIC
    return FieldConfigSource(
        defaults=FieldConfig(
            unit=unit,
            thresholds=_thresholds(steps),
            color=FieldColor(mode=mode),
            custom=custom,
            min_val=least,
        ),
        overrides=[],
    )


def _thresholds(steps: Steps) -> ThresholdsConfig:
    found = [Threshold(None, GREEN), *(Threshold(value, colour) for value, colour in steps)]
    return ThresholdsConfig(ThresholdsMode.ABSOLUTE, found)
