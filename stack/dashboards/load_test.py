"""The dashboard *Load test*: what Locust did, and beside it what the pipeline did."""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from stack.dashboards import figures, pipeline
from stack.dashboards.dashboard import dashboard
from stack.dashboards.figures import API, INGEST, LOADTEST
from stack.dashboards.panels import lines

UID = "denyut-load-test"
USERS = ("readers", "streams", "publishers", "freshness")


def load_test() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Load test",
        "A load test, marked by `denyut-grafana annotate`, beside what the pipeline did meanwhile.",
        *_of_locust(),
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


def _of_locust() -> list[Panel]:
    return [
        lines(
            "Locust's users",
            "Users of all kinds that were at work.",
            *figures.gauges(LOADTEST, {"users": "users"}),
            unit="none",
            interval="10s",
        ),
        lines(
            "Locust's operations a second",
            "What each kind of users did, readings that streams told included.",
            *figures.rates(LOADTEST, {one: f"operations_{one}" for one in USERS}),
            unit="ops",
            interval="10s",
        ),
        lines(
            "Locust's failures a second",
            "Operations that failed, by the kind of users that tried them.",
            *figures.rates(LOADTEST, {one: f"failed_operations_{one}" for one in USERS}),
            unit="ops",
            interval="10s",
        ),
        lines(
            "Locust's latency, 95th percentile",
            "Of the slowest operation of each kind of users, within the last 10 seconds.",
            *figures.gauges(LOADTEST, {one: f"p95_ms_{one}" for one in USERS}, of_one=True),
            unit="ms",
            interval="10s",
        ),
    ]
