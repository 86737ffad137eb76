"""Targets of panels: a text in one of InfluxDB's languages, and how its answer is named."""

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from stack.dashboards import FLUX_UID, INFLUXQL_UID


class Target(Dataquery):
    """One query of a panel or a rule; the SDK has no type of its own for InfluxDB."""

    def __init__(self, uid: str, query: str, **further: object) -> None:
        self.source = DataSourceRef("influxdb", uid)
        self.query = query
        self._further = further

    def named(self, ref_id: str, **further: object) -> "Target":
        """Return the same query under a letter of its own."""
        told = {**self._further, "refId": ref_id, **further}
        return Target(str(self.source.uid), self.query, **told)

    def to_json(self) -> dict[str, object]:
        """Return the query as Grafana reads it; the SDK's encoder asks for it."""
        return {"datasource": self.source.to_json(), "query": self.query, **self._further}


def influxql(query: str, alias: str = "", *, as_table: bool = False) -> Target:
    """Return a query in InfluxQL whose series are named as the alias says."""
    shape = "table" if as_table else "time_series"
    return Target(INFLUXQL_UID, query, rawQuery=True, resultFormat=shape, alias=alias or "$col")


def flux(*lines: str) -> Target:
    """Return a query in Flux, of its lines."""
    return Target(FLUX_UID, "\n".join(lines))
