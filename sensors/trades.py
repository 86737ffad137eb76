"""Profiles of four trades: cold chain, vehicles, machine vibration and buildings."""

from collections.abc import Callable, Mapping
from math import cos, radians
from random import Random

from sensors.profile import Fields, Measurement, Profile
from sensors.signals import (
    ByState,
    Constant,
    DailyCycle,
    Derived,
    Integral,
    Lagging,
    Moment,
    Noise,
    Sensor,
    States,
    Wander,
    number,
)
from sensors.waves import Product, Ramp, Sine, WeeklyCycle
from telemetry.reading import Value

_KM_PER_DEGREE = 111.32
_OUTDOOR_CO2_PPM = 420.0


def _cargo(random: Random) -> Fields:
    # Frozen goods, or medicines that must not freeze.
    setpoint = random.choice((-18.0, 5.0))
    door = States(random, {"shut": 1500.0, "open": 90.0}, {"shut": ("open",), "open": ("shut",)})
    return {
        "door": door,
        "door_open": Derived(lambda values: values["door"] == "open"),
        "setpoint": Constant(setpoint),
        # The compressor keeps a band around the setpoint, so that the air swings in it.
        "air_temperature": Sensor(
            Lagging(
                ByState("door", {"shut": Constant(setpoint), "open": Constant(setpoint + 9)}),
                lag_s=120,
            ),
            Sine(0.0, 0.8, period_s=random.uniform(700, 1100)),
            Noise(random, 0.05),
            least=-40,
            most=40,
        ),
        "product_temperature": Sensor(
            Lagging(
                ByState("door", {"shut": Constant(setpoint), "open": Constant(setpoint + 9)}),
                lag_s=5400,
            ),
            least=-40,
            most=40,
        ),
        "humidity": Sensor(
            ByState("door", {"shut": Constant(62.0), "open": Constant(84.0)}),
            Wander(random, 3.0, memory_s=600),
            least=5,
            most=100,
            digits=1,
        ),
        "compressor_on": Derived(
            lambda values: number(values, "air_temperature") > number(values, "setpoint")
        ),
    }


def _tracker(random: Random) -> Fields:
    return {
        "battery_level": Sensor(
            # Charged once a day, from a phase of its own.
            Ramp(98.0, 35.0, period_s=86_400, phase_s=random.uniform(0, 86_400)),
            least=0,
            most=100,
            digits=1,
        ),
        "signal_strength": Sensor(
            Constant(random.uniform(-100, -65)), Noise(random, 3.0), least=-120, most=-30, digits=0
        ),
    }


_DRIVING = {"parked": 1800.0, "idling": 60.0, "driving": 600.0}
_THEN = {
    "parked": ("driving",),
    "idling": ("driving", "driving", "driving", "parked"),
    "driving": ("idling", "idling", "parked"),
}


def _vehicle(random: Random) -> Fields:
    cruising = random.uniform(35, 70)
    return {
        "state": States(random, _DRIVING, _THEN),
        "ignition": Derived(lambda values: values["state"] != "parked"),
        "speed": Sensor(
            Lagging(
                ByState(
                    "state",
                    {
                        "parked": Constant(0.0),
                        "idling": Constant(0.0),
                        "driving": Sensor(
                            Constant(cruising), Wander(random, 12, memory_s=60), least=5, most=110
                        ),
                    },
                ),
                lag_s=6,
            ),
            least=0,
            most=180,
            digits=1,
        ),
        "engine_speed": Derived(_engine_speed),
        "coolant_temperature": Sensor(
            Lagging(
                ByState(
                    "state",
                    {
                        "parked": Constant(32.0),
                        "idling": Constant(92.0),
                        "driving": Constant(89.0),
                    },
                ),
                lag_s=300,
            ),
            Noise(random, 0.3),
            least=-40,
            most=140,
            digits=1,
        ),
        "odometer": Integral(of="speed", start=round(random.uniform(5_000, 180_000), 1)),
        "fuel_level": Sensor(
            Ramp(95.0, 12.0, period_s=2.5 * 86_400, phase_s=random.uniform(0, 200_000)),
            least=0,
            most=100,
            digits=1,
        ),
        "heading": Sensor(
            Constant(180.0), Wander(random, 80, memory_s=300), least=0, most=359.9, digits=1
        ),
        "latitude": _Position(random.uniform(-6.95, -6.85), cos),
        # At this latitude a degree of longitude is as long as one of latitude, within a percent.
        "longitude": _Position(
            random.uniform(107.5, 107.7), lambda angle: cos(angle - radians(90))
        ),
    }


def _engine_speed(values: Mapping[str, Value]) -> float:
    if values["state"] == "parked":
        return 0.0
    # A gear for each 25 km/h, between 1,200 and about 2,900 rpm in each.
    speed = number(values, "speed")
    return round(750.0 if speed < 1 else 1200 + 68 * (speed % 25), 0)


class _Position:
    """A coordinate in degrees that speed and heading of the same reading move along."""

    __slots__ = ("_along", "_degrees")

    def __init__(self, degrees: float, along: Callable[[float], float]) -> None:
        self._degrees = degrees
        self._along = along

    def at(self, moment: Moment) -> float:
        """Return the coordinate."""
        km = number(moment.values, "speed") * moment.elapsed_s / 3600
        share = self._along(radians(number(moment.values, "heading")))
        self._degrees += km * share / _KM_PER_DEGREE
        return round(self._degrees, 6)


def _vibration(random: Random) -> Fields:
    worn = random.random() ** 2
    speed = random.uniform(1470, 1490)
    level = 0.9 + 3.2 * worn
    return {
        "rotation_speed": Sensor(
            Constant(speed), Wander(random, 4.0, memory_s=30), least=0, most=3000, digits=1
        ),
        # Root mean squares of velocity, as ISO 20816 judges them.
        "velocity_rms_x": _velocity(random, level),
        "velocity_rms_y": _velocity(random, level * 0.8),
        "velocity_rms_z": _velocity(random, level * 0.5),
        "acceleration_rms": Sensor(
            Constant(0.4 + 2.5 * worn), Wander(random, 0.08, memory_s=60), least=0, most=50
        ),
        # Of a sine 1.41; bearings that begin to fail knock, and have peaks far above their mean.
        "crest_factor": Sensor(Constant(3.0 + 4 * worn), Noise(random, 0.25), least=1.41, most=20),
        "bearing_temperature": Sensor(
            DailyCycle(52.0 + 14 * worn, 2.0, peak_hour=15),
            Wander(random, 0.8, memory_s=1800),
            least=-20,
            most=150,
        ),
    }


def _velocity(random: Random, level: float) -> Sensor:
    return Sensor(
        Constant(level),
        Sine(0.0, 0.06 * level, period_s=random.uniform(40, 90)),
        Wander(random, 0.1 * level, memory_s=120),
        least=0,
        most=45,
        digits=3,
    )


def _room(random: Random) -> Fields:
    seats = random.randint(4, 24)
    weekdays = (1.0, 1.0, 1.0, 0.95, 0.8, 0.05, 0.02)
    return {
        "occupancy": Sensor(
            Product(DailyCycle(0.18 * seats, 0.5 * seats, peak_hour=13), WeeklyCycle(weekdays)),
            Wander(random, 0.08 * seats, memory_s=1200),
            least=0,
            most=seats,
            digits=0,
        ),
        "co2": Sensor(
            Lagging(_Breathing(seats), lag_s=900),
            Noise(random, 6.0),
            least=350,
            most=5000,
            digits=0,
        ),
        "temperature": Sensor(
            DailyCycle(24.0, 0.9, peak_hour=16),
            Wander(random, 0.3, memory_s=3600),
            Noise(random, 0.03),
            least=5,
            most=45,
        ),
        "humidity": Sensor(
            Constant(55.0), Wander(random, 4.0, memory_s=5400), least=5, most=100, digits=1
        ),
        "illuminance": Derived(lambda values: 480.0 if number(values, "occupancy") else 12.0),
        "power": Derived(lambda values: round(0.12 + 0.11 * number(values, "occupancy"), 3)),
        "energy": Integral(of="power", start=round(random.uniform(100, 4_000), 1)),
    }


class _Breathing:
    """The air's carbon dioxide in ppm, if as many people stayed in the room as are now."""

    __slots__ = ("_per_person_ppm",)

    def __init__(self, seats: int) -> None:
        self._per_person_ppm = 700 / seats

    def at(self, moment: Moment) -> float:
        """Return where it tends to."""
        return _OUTDOOR_CO2_PPM + self._per_person_ppm * number(moment.values, "occupancy")


TRADES = (
    Profile(
        "cold-chain",
        "air and product temperature (°C) at their setpoint, door, humidity (%); battery (%)",
        (Measurement("cargo", _cargo), Measurement("tracker", _tracker, every=10)),
    ),
    Profile(
        "vehicle",
        "position (°), speed (km/h), engine speed (rpm), odometer (km), fuel (%), coolant (°C)",
        (Measurement("vehicle", _vehicle),),
    ),
    Profile(
        "machine-vibration",
        "velocity RMS in three axes (mm/s), acceleration (g), crest factor, bearing (°C), rpm",
        (Measurement("vibration", _vibration),),
    ),
    Profile(
        "building",
        "occupancy by day and weekday, CO2 (ppm), temperature (°C), humidity, light (lx), power",
        (Measurement("room", _room),),
    ),
)
