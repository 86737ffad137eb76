"""The dashboard *Delivery by QoS*: what became of the readings of each level, side by side."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from stack.dashboards import figures
from stack.dashboards.dashboard import dashboard, given
from stack.dashboards.figures import API, INGEST, SENSORS
from stack.dashboards.panels import ORANGE, RED, lines, number

UID = "denyut-delivery"
LEVELS = ("0", "1", "2")
_OF = "_readings_qos${qos}"


def delivery() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Delivery by QoS",
        "What became of the readings of each QoS level, side by side.",
        number(
            "Missing at QoS ${qos}",
            "Gaps between the sequence numbers of all that is stored, counted by the API each "
            "minute. What is still on its way counts until it arrives.",
            *figures.gauges(API, {"missing": f"missing{_OF}"}, of_one=True),
            unit="none",
            width=8,
            steps=[(1, RED)],
            repeat="qos",
        ),
        number(
            "In the range, at QoS ${qos}",
            "Readings that devices offered, the broker acknowledged, and the store confirmed; "
            "duplicated are those that were delivered again, which the store holds once.",
            *figures.rise(
                SENSORS, {"offered": f"offered{_OF}", "acknowledged": f"acknowledged{_OF}"}
            ),
            *figures.rise(INGEST, {"stored": f"written{_OF}", "duplicated": f"repeated{_OF}"}),
            unit="short",
            width=8,
            repeat="qos",
        ),
        lines(
            "Readings a second at QoS ${qos}",
            "Offered and acknowledged as the simulated devices count, stored as ingest does.",
            *figures.rates(
                SENSORS, {"offered": f"offered{_OF}", "acknowledged": f"acknowledged{_OF}"}
            ),
            *figures.rates(INGEST, {"stored": f"written{_OF}"}),
            unit="cps",
            width=8,
            repeat="qos",
        ),
        lines(
            "Latency at QoS ${qos}",
            "From a reading's own time to the store's confirmation: percentiles of all since "
            "ingest started, of the slowest process.",
            *figures.gauges(
                INGEST,
                {f"p{one}": f"latency_ms_qos${{qos}}_p{one}" for one in (50, 95, 99)},
                of_one=True,
            ),
            unit="ms",
            width=8,
            repeat="qos",
        ),
        lines(
            "Over the latency objective",
            "The share of readings stored later than the objective (1 s unless set otherwise), "
            "in each interval.",
            *(
                figures.ratio(
                    INGEST,
                    f"QoS {one}",
                    [f"slow_readings_qos{one}"],
                    [f"written_readings_qos{one}"],
                )
                for one in LEVELS
            ),
            unit="percentunit",
            steps=[(0.01, ORANGE)],
            interval="1m",
        ),
        lines(
            "Missing",
            "Gaps between the sequence numbers of all that is stored, by level.",
            *figures.gauges(
                API, {f"QoS {one}": f"missing_readings_qos{one}" for one in LEVELS}, of_one=True
            ),
            unit="none",
            interval="1m",
        ),
        variables=[given("qos", "QoS", LEVELS)],
        since="now-1h",
    )
