"""Profiles: which measurements a kind of device makes, and of which signals they consist."""

from collections.abc import Mapping
from math import exp
from random import Random

from sensors.profile import Fields, Measurement, Profile
from sensors.signals import (
    ByState,
    Constant,
    DailyCycle,
    Derived,
    Drift,
    Integral,
    Lagging,
    Noise,
    Sensor,
    States,
    Wander,
    dew_point,
    number,
)
from sensors.trades import TRADES
from telemetry.reading import Value


def _weather(random: Random) -> Fields:
    altitude_offset = random.gauss(0.0, 1.0)
    return {
        "temperature": Sensor(
            DailyCycle(26.0 + altitude_offset, 4.5, peak_hour=14),
            Wander(random, 0.8, memory_s=3 * 3600),
            Drift(random.gauss(0.0, 0.005)),
            Noise(random, 0.05),
            least=-40,
            most=85,
        ),
        # Warm air holds more water: relative humidity is highest when temperature is lowest.
        "humidity": Sensor(
            DailyCycle(78.0, 14.0, peak_hour=2),
            Wander(random, 4.0, memory_s=2 * 3600),
            Noise(random, 0.3),
            least=5,
            most=100,
            digits=1,
        ),
        "dew_point": Derived(
            lambda values: round(
                dew_point(number(values, "temperature"), number(values, "humidity")), 2
            )
        ),
        "pressure": Sensor(
            # The atmosphere's tide over the tropics has two highs a day; one is kept.
            DailyCycle(1010.0, 1.6, peak_hour=10),
            Wander(random, 1.2, memory_s=12 * 3600),
            Noise(random, 0.05),
            least=850,
            most=1100,
        ),
        "wind_speed": Sensor(
            DailyCycle(2.4, 1.6, peak_hour=15),
            Wander(random, 1.1, memory_s=300),
            Noise(random, 0.3),
            least=0,
            most=60,
        ),
    }


def _station(random: Random) -> Fields:
    return {
        "battery_voltage": Sensor(
            DailyCycle(3.85, 0.18, peak_hour=16),
            Noise(random, 0.005),
            least=3.0,
            most=4.2,
            digits=3,
        ),
        "charging": Derived(lambda values: number(values, "battery_voltage") > 3.9),
        "signal_strength": Sensor(
            Constant(random.uniform(-95, -60)), Noise(random, 2.0), least=-120, most=-30, digits=0
        ),
    }


def _electricity(random: Random) -> Fields:
    household = random.uniform(0.6, 1.6)
    return {
        "voltage": Sensor(
            DailyCycle(226.0, 4.0, peak_hour=4),
            Wander(random, 1.5, memory_s=600),
            Noise(random, 0.2),
            least=0,
            most=300,
            digits=1,
        ),
        "power": Sensor(
            DailyCycle(0.75 * household, 0.45 * household, peak_hour=19.5),
            Wander(random, 0.25 * household, memory_s=900),
            Noise(random, 0.01),
            least=0.03,
            most=11,
            digits=3,
        ),
        "power_factor": Sensor(
            Constant(0.93), Wander(random, 0.02, memory_s=1800), least=0.6, most=1, digits=3
        ),
        "current": Derived(_current),
        "energy": Integral(of="power", start=round(random.uniform(500, 20_000), 1)),
        "frequency": Sensor(
            Constant(50.0), Wander(random, 0.02, memory_s=120), least=45, most=55, digits=3
        ),
    }


def _current(values: Mapping[str, Value]) -> float:
    volts = number(values, "voltage") * number(values, "power_factor")
    return round(1000 * number(values, "power") / max(volts, 1.0), 2)


_STAYS_S = {"idle": 120.0, "running": 600.0, "maintenance": 180.0, "fault": 45.0}
_FOLLOWS = {
    "idle": ("running", "running", "running", "running", "maintenance"),
    "running": ("idle", "idle", "idle", "idle", "fault"),
    "maintenance": ("idle",),
    "fault": ("maintenance", "idle"),
}


def _machine(random: Random) -> Fields:
    speed = random.uniform(1430, 1480)
    still: Mapping[str, Constant] = dict.fromkeys(_STAYS_S, Constant(0.0))
    return {
        "state": States(random, _STAYS_S, _FOLLOWS),
        "running": Derived(lambda values: values["state"] == "running"),
        "rotation_speed": Sensor(
            Lagging(ByState("state", {**still, "running": Constant(speed)}), lag_s=4),
            least=0,
            most=3000,
            digits=1,
        ),
        "vibration": Sensor(
            ByState(
                "state",
                {
                    **dict.fromkeys(_STAYS_S, Noise(random, 0.02)),
                    "running": Sensor(
                        Constant(2.1), Wander(random, 0.4, memory_s=120), least=0, most=20
                    ),
                    "fault": Sensor(Constant(9.0), Noise(random, 1.5), least=0, most=45),
                },
            ),
            Drift(0.02),
            least=0,
            most=45,
            digits=3,
        ),
        "bearing_temperature": Sensor(
            Lagging(
                ByState(
                    "state",
                    {
                        **dict.fromkeys(_STAYS_S, Constant(31.0)),
                        "running": Constant(58.0),
                        "fault": Constant(74.0),
                    },
                ),
                lag_s=240,
            ),
            Noise(random, 0.15),
            least=-20,
            most=150,
        ),
        "wear": Derived(lambda values: round(_wear(number(values, "vibration")), 4)),
    }


def _wear(vibration: float) -> float:
    # The zones of ISO 20816 in mm/s: below 2.8 good, above 7.1 not to be run on.
    return 1 / (1 + exp(-(vibration - 4.5)))


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "weather-station",
            "air temperature (°C), humidity (%), dew point, pressure (hPa), wind (m/s); battery",
            (Measurement("weather", _weather), Measurement("station", _station, every=10)),
        ),
        Profile(
            "smart-meter",
            "mains voltage (V), power (kW) and factor, current (A), energy (kWh), frequency (Hz)",
            (Measurement("electricity", _electricity),),
        ),
        Profile(
            "machine",
            "state, speed (rpm), vibration (mm/s), bearing temperature (°C), wear index",
            (Measurement("machine", _machine),),
        ),
        *TRADES,
    )
}
