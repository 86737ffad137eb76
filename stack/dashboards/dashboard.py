"""A dashboard: what all have in common, its variables, and how its panels are laid out."""

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    AnnotationQuery,
    AnnotationTarget,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    DataSourceRef,
    Panel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from stack.dashboards import INFLUXQL_UID, TAG
from stack.dashboards.asking import ALL

_COLUMNS = 24
_ALL_OPTION = VariableOption(selected=True, text="All", value="$__all")


def dashboard(
    uid: str,
    title: str,
    about: str,
    *panels: Panel,
    variables: Sequence[VariableModel] = (),
    since: str = "now-6h",
    refresh: str = "30s",
) -> Dashboard:
    """Return a dashboard that nobody edits in Grafana."""
    return Dashboard(
        uid=uid,
        title=title,
        description=about,
        tags=[TAG],
        timezone="browser",
        editable=False,
        graph_tooltip=DashboardCursorSync.CROSSHAIR,
        time=DashboardDashboardTime(since, "now"),
        refresh=refresh,
        schema_version=41,
        panels=list(_laid_out(panels)),
        templating=DashboardDashboardTemplating(list(variables)),
        annotations=AnnotationContainer([_marks()]),
        links=[_others()],
    )


def chosen(
    name: str,
    label: str,
    query: str,
    *,
    uid: str = INFLUXQL_UID,
    regex: str = "",
    several: bool = True,
    by_each: bool = False,
) -> VariableModel:
    """Return a variable whose values are looked up; `by_each` panels are repeated for it."""
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=label,
        query=query if uid == INFLUXQL_UID else {"query": query, "refId": name},
        datasource=DataSourceRef("influxdb", uid),
        regex=regex,
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=VariableSort.NATURAL_ASC,
        multi=several,
        include_all=several,
        all_value=ALL if several and not by_each else None,
        current=_ALL_OPTION if several else None,
    )


def given(name: str, label: str, values: Sequence[str]) -> VariableModel:
    """Return a variable of fixed values, all of them chosen; panels are repeated for it."""
    return VariableModel(
        type_val=VariableType.CUSTOM,
        name=name,
        label=label,
        query=",".join(values),
        options=[VariableOption(selected=False, text=one, value=one) for one in values],
        multi=True,
        include_all=True,
        current=_ALL_OPTION,
    )


SITE = chosen("site", "Site", 'SHOW TAG VALUES WITH KEY = "site" WHERE "site" != \'denyut\'')


def _laid_out(panels: Sequence[Panel]) -> Sequence[Panel]:
    """Number the panels, and put them into rows from the left; one that is repeated has its row."""
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        place = panel.grid_pos
        assert place is not None
        if x + place.w > _COLUMNS or panel.repeat:
            x, y, height = 0, y + height, 0
        panel.id_val, place.x, place.y = number, x, y
        x = _COLUMNS if panel.repeat else x + place.w
        height = max(height, place.h)
    return panels


def _marks() -> AnnotationQuery:
    """Return the marks that `denyut-grafana annotate` sets: deployments and load tests."""
    return AnnotationQuery(
        name="Deployments and load tests",
        datasource=DataSourceRef("grafana", "-- Grafana --"),
        enable=True,
        hide=False,
        icon_color="purple",
        target=AnnotationTarget(limit=100, match_any=True, tags=[TAG], type_val="tags"),
        type_val="tags",
    )


def _others() -> DashboardLink:
    return DashboardLink(
        title="Denyut",
        type_val=DashboardLinkType.DASHBOARDS,
        tags=[TAG],
        as_dropdown=False,
        keep_time=True,
        include_vars=False,
        icon="dashboard",
        tooltip="the other dashboards",
    )
