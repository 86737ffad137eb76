"""The dashboard *Fleet*: how many devices are online, what they report, and which are silent."""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from stack.dashboards import FLUX_UID, devices, figures
from stack.dashboards.dashboard import SITE, chosen, dashboard
from stack.dashboards.figures import API, INGEST
from stack.dashboards.panels import ORANGE, RED, coloured, column, lines, link, number, table

UID = "denyut-fleet"
LEVELS = ("0", "1", "2")
_TO_DEVICE = "/d/denyut-device?var-device=${__data.fields.device}&${__url_time_range}"


def fleet() -> Dashboard:
    """Return the dashboard."""
    return dashboard(
        UID,
        "Fleet",
        "How many devices are online, what they report, and which are silent.",
        *_numbers(),
        table(
            "Devices",
            "Every device that reported in the range; age is the time since its last reading.",
            devices.all_devices(),
            unit="s",
            width=14,
            height=10,
            overrides=[
                column("age", **coloured([(60, ORANGE), (300, RED)])),
                column("last reading", unit="dateTimeAsIso"),
                column("device", unit="none", links=[link("its dashboard", _TO_DEVICE)]),
            ],
        ),
        table(
            "Sites",
            "Devices of each site, and how many of them are silent.",
            devices.by_site(),
            unit="none",
            width=10,
            height=10,
            overrides=[column("silent", **coloured([(1, RED)]))],
        ),
        lines(
            "Online by QoS",
            "Devices with a connection to the broker, by the level at which they publish.",
            *figures.gauges(
                API, {f"QoS {one}": f"devices_online_qos{one}" for one in LEVELS}, of_one=True
            ),
            unit="none",
            stack=True,
            width=24,
        ),
        lines(
            "${field} by site",
            "The mean over the devices of each site. Ranges over 6 hours are answered by minutes, "
            "which follow up to 11 minutes late, ranges over 3 days by hours.",
            devices.means_by_site(),
            unit="short",
            repeat="field",
            points=300,
            from_zero=False,
        ),
        variables=[
            SITE,
            chosen(
                "measurement",
                "Measurement",
                "SHOW MEASUREMENTS",
                regex="/^(?!denyut_)/",
                several=False,
            ),
            chosen(
                "field",
                "Field",
                devices.numeric_fields('r._measurement == "${measurement}" and ' + devices.OF_SITE),
                uid=FLUX_UID,
                by_each=True,
            ),
        ],
    )


def _numbers() -> list[Panel]:
    return [
        number(
            "Online",
            "Devices with a connection to the broker, as their retained status says.",
            *figures.gauges(API, {"online": "known_devices_online"}, of_one=True),
            unit="none",
        ),
        number(
            "Offline",
            "Devices whose status says offline: they said goodbye, or their last will did.",
            *figures.gauges(API, {"offline": "known_devices_offline"}, of_one=True),
            unit="none",
            steps=[(1, ORANGE)],
        ),
        number(
            "Reporting",
            "Devices with a reading in the last 5 minutes of the range.",
            devices.count_of("reporting"),
            unit="none",
            none="0",
        ),
        number(
            "Silent",
            "Devices that reported in the range, but not in its last 5 minutes.",
            devices.count_of("silent"),
            unit="none",
            steps=[(1, RED)],
            none="0",
        ),
        number(
            "Stored in the range",
            "Readings that the store confirmed to ingest, repeats included.",
            *figures.rise(INGEST, {f"QoS {one}": f"written_readings_qos{one}" for one in LEVELS}),
            unit="short",
            width=8,
        ),
    ]
