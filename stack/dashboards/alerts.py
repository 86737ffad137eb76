"""The alert rules: what is asked of the store, when that is bad, and what a person does about it.

A rule asks (A), takes the last value of each series (B) and compares it (C). While the store is
away no rule can ask: that is one alert, and what the others say then is no news.
"""

from typing import Literal

from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models.alerting import (
    ContactPoint,
    NotificationPolicy,
    Query,
    RelativeTimeRange,
    Rule,
)
from msgspec import Struct

from stack.dashboards import delivery, device, devices, figures, pipeline
from stack.dashboards.figures import API, INGEST
from stack.dashboards.queries import Target, influxql

FOLDER, GROUP = "Denyut alerts", "denyut"
EXPRESSION = "__expr__"
RUNBOOKS = "docs/runbooks"
CONTACT = "Denyut"
_OF_THE_API = ("folderUID", "orgID", "ruleGroup")

State = Literal["OK", "NoData", "Alerting"]


class Alert(Struct, frozen=True, kw_only=True):
    """A rule; its name is also that of its runbook."""

    name: str
    title: str
    summary: str
    about: str
    target: Target
    minutes: int
    is_bad: Literal["gt", "lt"] = "gt"
    limit: float = 0.0
    holds_for: str = "0s"
    severity: Literal["warning", "critical"] = "warning"
    without_answer: State = "OK"
    dashboard: str


def alerts() -> list[Alert]:
    """Return all rules."""
    return [
        Alert(
            name="device-silent",
            title="Device silent",
            summary="{{ $labels.device }} in {{ $labels.site }} is silent",
            about="It has sent no reading for more than 5 minutes, and did within the last day.",
            target=devices.ages(),
            minutes=24 * 60,
            limit=300,
            holds_for="2m",
            dashboard=device.UID,
        ),
        Alert(
            name="loss",
            title="Readings lost at QoS 1 or 2",
            summary="{{ $values.B }} readings of QoS 1 and 2 are missing since 6 hours",
            about="There are gaps between the sequence numbers of what is stored that were not "
            "there before, and nothing has filled them for 15 minutes.",
            target=influxql(
                'SELECT last("m") - first("m") AS "lost" FROM (SELECT '
                f'max("missing_readings_qos1") + max("missing_readings_qos2") AS "m" FROM "{API}" '
                "WHERE $timeFilter GROUP BY time(1m) fill(none))"
            ),
            minutes=6 * 60,
            holds_for="15m",
            severity="critical",
            dashboard=delivery.UID,
        ),
        Alert(
            name="quarantine-growing",
            title="Quarantine growing",
            summary="{{ $values.B }} readings went to quarantine in 15 minutes",
            about="What cannot be stored is kept there until a person has looked.",
            target=figures.rise(INGEST, {"quarantined": "quarantined_readings"})[0],
            minutes=15,
            dashboard=pipeline.UID,
        ),
        Alert(
            name="spool-filling",
            title="Spool filling",
            summary="A spool is at {{ humanizePercentage $values.B.Value }} of its budget",
            about="The store is away or too slow; when the spool is full, ingest stops reading.",
            target=influxql(
                'SELECT max("s") AS "share" FROM (SELECT last("spool_bytes") / '
                f'last("spool_budget_bytes") AS "s" FROM "{INGEST}" '
                'WHERE $timeFilter GROUP BY "device")'
            ),
            minutes=5,
            limit=0.5,
            severity="critical",
            dashboard=pipeline.UID,
        ),
        Alert(
            name="broker-dropping",
            title="Broker dropping messages",
            summary="The broker dropped {{ $values.B }} messages in 15 minutes",
            about="A client's queue at the broker was full: acknowledged readings may be among "
            "those that are gone.",
            target=figures.most_risen(INGEST, "dropped", "broker_dropped_messages"),
            minutes=15,
            severity="critical",
            dashboard=pipeline.UID,
        ),
        Alert(
            name="store-away",
            title="Store away",
            summary="Nothing is stored",
            about="InfluxDB does not answer, or no ingest has stored its own figures for 2 "
            "minutes.",
            target=influxql(
                f'SELECT count("in_flight_readings") AS "figures" FROM "{INGEST}" WHERE $timeFilter'
            ),
            minutes=2,
            is_bad="lt",
            limit=1,
            holds_for="1m",
            severity="critical",
            without_answer="Alerting",
            dashboard=pipeline.UID,
        ),
        Alert(
            name="latency",
            title="Latency objective missed",
            summary="{{ humanizePercentage $values.B.Value }} of the readings are late",
            about="More than 1 % of the readings of 10 minutes were stored later than the "
            "objective (INGEST_LATENCY_OBJECTIVE_MS) after their own time.",
            target=figures.share(
                INGEST,
                "late",
                [f"slow_readings_qos{one}" for one in pipeline.LEVELS],
                [f"written_readings_qos{one}" for one in pipeline.LEVELS],
            ),
            minutes=10,
            limit=0.01,
            holds_for="5m",
            dashboard=delivery.UID,
        ),
    ]


def provisioned() -> dict[str, object]:
    """Return the file by which Grafana gets the rules, whom to tell, and how often."""
    group = {
        "orgId": 1,
        "name": GROUP,
        "folder": FOLDER,
        "interval": "1m",
        "rules": [_of_file(rule(one)) for one in alerts()],
    }
    contact = ContactPoint(
        uid="denyut-email",
        type_val="email",
        # Grafana fills this in from its environment.
        settings={"addresses": "$ALERT_EMAIL", "singleEmail": True},
        disable_resolve_message=False,
    )
    policy = NotificationPolicy(
        receiver=CONTACT,
        group_by=["alertname", "site"],
        group_wait="30s",
        group_interval="5m",
        repeat_interval="4h",
    )
    return {
        "apiVersion": 1,
        "groups": [group],
        "contactPoints": [{"orgId": 1, "name": CONTACT, "receivers": [contact]}],
        "policies": [{"orgId": 1, **policy.to_json()}],
    }


def rule(alert: Alert) -> Rule:
    """Return a rule on the SDK's types."""
    asked = RelativeTimeRange(from_val=alert.minutes * 60, to=0)
    queries = [
        Query(
            str(alert.target.source.uid),
            alert.target.named("A", intervalMs=30_000),
            None,
            "A",
            asked,
        ),
        _expression(
            "B", type="reduce", expression="A", reducer="last", settings={"mode": "dropNN"}
        ),
        _expression(
            "C",
            type="threshold",
            expression="B",
            conditions=[{"evaluator": {"type": alert.is_bad, "params": [alert.limit]}}],
        ),
    ]
    return Rule(
        uid=f"denyut-{alert.name}",
        title=alert.title,
        condition="C",
        for_val=alert.holds_for,
        no_data_state=alert.without_answer,
        exec_err_state="Alerting" if alert.without_answer == "Alerting" else "OK",
        labels={"severity": alert.severity},
        annotations={
            "summary": alert.summary,
            "description": alert.about,
            "runbook_url": f"{RUNBOOKS}/{alert.name}.md",
            "dashboard": f"/d/{alert.dashboard}",
        },
        data=queries,
        is_paused=False,
    )


def _expression(ref_id: str, **model: object) -> Query:
    source = {"type": EXPRESSION, "uid": EXPRESSION}
    told = UnknownDataquery({"refId": ref_id, "datasource": source, **model})
    return Query(EXPRESSION, told, None, ref_id, RelativeTimeRange(from_val=0, to=0))


def _of_file(made: Rule) -> dict[str, object]:
    """Return a rule as it stands in a file, where its group says what the API wants of each."""
    return {name: value for name, value in made.to_json().items() if name not in _OF_THE_API}
