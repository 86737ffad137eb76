"""The dashboard *Load test*: what the pipeline did while Locust asked and published."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from stack.dashboards import figures, pipeline
from stack.dashboards.dashboard import dashboard
from stack.dashboards.figures import API, INGEST
from stack.dashboards.panels import lines

UID = "denyut-load-test"


def load_test() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Load test",
        "A load test, marked by `denyut-grafana annotate`, beside what the pipeline did meanwhile.",
        pipeline.api_requests(),
        pipeline.api_latency(),
        pipeline.stored_by_level(),
        lines(
            "Latency, 99th percentile",
            "From a reading's own time to the store's confirmation, of all since ingest started, "
            "of the slowest process.",
            *figures.gauges(
                INGEST,
                {f"QoS {one}": f"latency_ms_qos{one}_p99" for one in pipeline.LEVELS},
                of_one=True,
            ),
            unit="ms",
        ),
        pipeline.held(),
        pipeline.broker_queue(),
        lines(
            "Connections to the broker",
            "Clients with a connection: devices, Locust's users, services.",
            *figures.gauges(INGEST, {"clients": "broker_clients"}, of_one=True),
            unit="none",
        ),
        lines(
            "The API's questions to the store",
            "Questions that were asked, and such as the cache answered.",
            *figures.rates(API, {"asked": "store_queries", "from the cache": "cache_hits"}),
            unit="cps",
        ),
        since="now-30m",
        refresh="10s",
    )
