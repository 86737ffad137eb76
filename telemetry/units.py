"""In which units fields are measured, by their names: the codes of UCUM (https://ucum.org/ucum).

A reading carries numbers only: that a name stands for one unit is a habit of the ready profiles,
which a fleet of one's own does well to keep.
"""

from collections.abc import Mapping

UNITS: Mapping[str, str] = {
    "battery_voltage": "V",
    "bearing_temperature": "Cel",
    "current": "A",
    "dew_point": "Cel",
    "energy": "kW.h",
    "frequency": "Hz",
    "humidity": "%",
    "power": "kW",
    "power_factor": "1",
    "pressure": "hPa",
    "rotation_speed": "{rev}/min",
    "signal_strength": "dB{mW}",  # UCUM has no level over a milliwatt but by an annotation
    "temperature": "Cel",
    "vibration": "mm/s",
    "voltage": "V",
    "wear": "1",
    "wind_speed": "m/s",
}

UNITLESS = frozenset({"charging", "running", "state"})
"""Fields of the ready profiles that are no quantities."""
