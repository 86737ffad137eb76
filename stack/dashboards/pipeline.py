"""The dashboard *Pipeline*: what ingest, the broker and the API do, and where it gets tight."""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from stack.dashboards import figures
from stack.dashboards.dashboard import chosen, dashboard
from stack.dashboards.figures import API, INGEST
from stack.dashboards.panels import ORANGE, RED, lines, number

UID = "denyut-pipeline"
ROUTES = (
    *("latest", "devices", "readings", "fleet", "delivery"),
    *("gaps", "sites", "measurements", "commands"),
)
STREAM = "stream"
"""Its time is counted until an answer begins, which says nothing of what follows."""
LEVELS = ("0", "1", "2")
_WHERE = ' AND "device" =~ /^(${process:regex})$/'


def pipeline() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Pipeline",
        "What ingest, the broker and the API do, and where it gets tight.",
        *_troubles(),
        stored_by_level(),
        lines(
            "Readings in a batch",
            "Readings that the store confirmed with one write, on average.",
            *(
                figures.ratio(
                    INGEST, f"QoS {one}", [f"written_readings_qos{one}"], ["batches"], _WHERE
                )
                for one in LEVELS
            ),
            unit="none",
            stack=True,
        ),
        lines(
            "A write to the store",
            "Time that a write took, on average, retries included.",
            figures.ratio(INGEST, "a write", ["write_seconds"], ["batches"], _WHERE),
            unit="s",
        ),
        lines(
            "Retries and refusals",
            "Writes that had to be repeated, and such as were refused for want of rights.",
            *figures.rates(
                INGEST, {"retries": "write_retries", "refusals": "store_refusals"}, _WHERE
            ),
            unit="cps",
        ),
        held(),
        lines(
            "Spool",
            "Size on the disk of what waits for the store, and what it may grow to.",
            *figures.gauges(
                INGEST, {"spool": "spool_bytes", "budget": "spool_budget_bytes"}, _WHERE
            ),
            unit="bytes",
        ),
        lines(
            "Quarantine",
            "Size on the disk of what could not be stored, and what it may grow to; past that the "
            "oldest file goes.",
            *figures.gauges(
                INGEST,
                {"quarantine": "quarantine_bytes", "budget": "quarantine_budget_bytes"},
                _WHERE,
            ),
            unit="bytes",
        ),
        broker_queue(),
        api_requests(),
        api_latency(),
        variables=[
            chosen(
                "process",
                "Ingest",
                f'SHOW TAG VALUES FROM "{INGEST}" WITH KEY = "device"',
            )
        ],
        since="now-1h",
    )


def _troubles() -> list[Panel]:
    return [
        number(
            "Quarantined",
            "Readings of the range that could not be stored: `python -m ingest quarantine`.",
            *figures.rise(INGEST, {"quarantined": "quarantined_readings"}, _WHERE),
            unit="none",
            steps=[(1, ORANGE)],
        ),
        number(
            "Dropped by the broker",
            "Messages of the range for which a client's queue at the broker was too short.",
            figures.most_risen(INGEST, "dropped", "broker_dropped_messages"),
            unit="none",
            steps=[(1, RED)],
        ),
        number(
            "In the spool",
            "Readings that wait on the disk for the store.",
            figures.now(INGEST, "spooled", "spooled_readings"),
            unit="none",
            steps=[(1, ORANGE)],
        ),
        number(
            "Write retries",
            "Writes of the range that had to be repeated.",
            *figures.rise(INGEST, {"retries": "write_retries"}, _WHERE),
            unit="none",
            steps=[(1, ORANGE)],
        ),
        number(
            "Sessions lost",
            "Times in the range that the broker had forgotten ingest's session, and what it held.",
            *figures.rise(INGEST, {"lost": "sessions_lost"}, _WHERE),
            unit="none",
            steps=[(1, RED)],
        ),
        number(
            "Away without leaving",
            "Members of ingest's group that are away: their share of the readings waits for them.",
            *figures.gauges(INGEST, {"away": "orphan_members"}, of_one=True),
            unit="none",
            steps=[(1, RED)],
        ),
    ]


def stored_by_level() -> Panel:
    """Return what ingest receives and what the store confirms, a second."""
    received = {f"received, QoS {one}": f"received_readings_qos{one}" for one in LEVELS}
    stored = {f"stored, QoS {one}": f"written_readings_qos{one}" for one in LEVELS}
    return lines(
        "Readings a second",
        "What ingest receives from the broker, and what the store has confirmed.",
        *figures.rates(INGEST, {**received, **stored}),
        unit="cps",
    )


def held() -> Panel:
    """Return what waits inside ingest."""
    return lines(
        "Held by ingest",
        "Readings that are not durable yet, in memory, and such as wait in the spool.",
        *figures.gauges(
            INGEST, {"in memory": "in_flight_readings", "in the spool": "spooled_readings"}
        ),
        unit="none",
    )


def broker_queue() -> Panel:
    """Return what waits at the broker."""
    return lines(
        "Held by the broker",
        "Messages that wait at the broker for clients, for those that are away too.",
        *figures.gauges(INGEST, {"messages": "broker_queued_messages"}, of_one=True),
        unit="none",
    )


def api_requests() -> Panel:
    """Return what the API is asked."""
    return lines(
        "API requests a second",
        "Requests answered well, by route, and such as failed for a reason of ours.",
        *figures.rates(
            API,
            {
                **{route: f"requests_{route}_2xx" for route in (*ROUTES, STREAM)},
                **{f"{route} failed": f"requests_{route}_5xx" for route in (*ROUTES, STREAM)},
            },
        ),
        unit="reqps",
    )


def api_latency() -> Panel:
    """Return how long the API takes."""
    return lines(
        "API latency",
        "Time inside the API for a request answered well, on average, by route; a command's is "
        "mostly the device's.",
        *(
            figures.ratio(API, route, [f"request_seconds_{route}_2xx"], [f"requests_{route}_2xx"])
            for route in ROUTES
        ),
        unit="s",
    )
