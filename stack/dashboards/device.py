"""The dashboard *Device*: every field of one device, how fresh it is, and its gaps."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from stack.dashboards import FLUX_UID, devices
from stack.dashboards.dashboard import SITE, chosen, dashboard
from stack.dashboards.panels import ORANGE, RED, column, lines, number, table
from stack.dashboards.queries import influxql

UID = "denyut-device"
# In InfluxQL Grafana takes names for regular expressions, and escapes the dot of a field `tilt.x`.
_DEVICE = "\"device\" = '${device:raw}' AND $timeFilter"


def device() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Device",
        "Every field of one device, how fresh it is, and where it has gaps.",
        number(
            "Last reading",
            "How long ago the device was last heard of, seen from the end of the range.",
            devices.age(),
            unit="s",
            steps=[(60, ORANGE), (300, RED)],
        ),
        number(
            "Stored and missing",
            "Readings of the last hour of the range that are stored, numbers that are missing "
            "between them, and how often the device started.",
            devices.sequence(),
            unit="none",
            width=8,
        ),
        lines(
            "Readings stored",
            "Readings of each measurement in each interval: where a device was away or lost "
            "readings, the line falls.",
            influxql(
                f'SELECT count("seq") FROM /.*/ WHERE {_DEVICE} GROUP BY time($__interval) fill(0)',
                alias="$m",
            ),
            unit="none",
            height=4,
            interval="1m",
        ),
        lines(
            "${field}",
            "The mean in each interval, between the least and the greatest value.",
            influxql(
                'SELECT min("${field:raw}") AS "least", mean("${field:raw}") AS "mean", '
                f'max("${{field:raw}}") AS "greatest" FROM "${{measurement:raw}}" WHERE {_DEVICE} '
                "GROUP BY time($__interval) fill(none)"
            ),
            unit="short",
            repeat="field",
            interval="10s",
            from_zero=False,
        ),
        table(
            "Commands",
            "What the API told the device in the range, how it went, and how long that took.",
            influxql(
                'SELECT "command", "outcome", "milliseconds" FROM "denyut_commands" WHERE '
                "\"to\" = '${device:raw}' AND $timeFilter ORDER BY time DESC LIMIT 100",
                as_table=True,
            ),
            unit="none",
            overrides=[column("milliseconds", unit="ms")],
        ),
        table(
            "Every field",
            "The last value of each field, numbers, words and truths alike.",
            devices.last_values(),
            unit="none",
            overrides=[column("time", unit="dateTimeAsIso")],
        ),
        variables=[
            SITE,
            chosen(
                "device",
                "Device",
                'SHOW TAG VALUES WITH KEY = "device" WHERE '
                '"site" =~ /^(${site:regex})$/ AND "site" != \'denyut\'',
                several=False,
            ),
            chosen(
                "measurement",
                "Measurement",
                "SHOW MEASUREMENTS WHERE \"device\" = '${device:raw}'",
                several=False,
            ),
            chosen(
                "field",
                "Field",
                devices.numeric_fields(
                    'r._measurement == "${measurement}" and r.device == "${device}"'
                ),
                uid=FLUX_UID,
                by_each=True,
            ),
        ],
    )
