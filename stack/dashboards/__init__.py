"""Grafana's dashboards and alert rules as code, on the types of its own SDK.

`python -m stack.dashboards` writes them into `stack/grafana/`, from where Grafana reads them: no
person edits the files there. Every figure that a panel shows comes out of the store.
"""

FOLDER_UID, FOLDER = "denyut", "Denyut"
INFLUXQL_UID, FLUX_UID = "denyut-influxql", "denyut-flux"
BUCKET = "telemetry"
TAG = "denyut"
