"""In which units fields are measured, by their names: the codes of UCUM (https://ucum.org/ucum).

A reading carries numbers only: that a name stands for one unit is a habit of the ready profiles,
which a fleet of one's own does well to keep.
"""

from collections.abc import Mapping

UNITS: Mapping[str, str] = {
    "acceleration_rms": "[g]",
    "air_temperature": "Cel",
    "battery_level": "%",
    "battery_voltage": "V",
    "bearing_temperature": "Cel",
    "co2": "[ppm]",
    "coolant_temperature": "Cel",
    "crest_factor": "1",
    "current": "A",
    "dew_point": "Cel",
    "energy": "kW.h",
    "engine_speed": "{rev}/min",
    "frequency": "Hz",
    "fuel_level": "%",
    "heading": "deg",
    "humidity": "%",
    "illuminance": "lx",
    "latitude": "deg",
    "longitude": "deg",
    "occupancy": "{person}",
    "odometer": "km",
    "power": "kW",
    "power_factor": "1",
    "pressure": "hPa",
    "product_temperature": "Cel",
    "rotation_speed": "{rev}/min",
    "setpoint": "Cel",
    "signal_strength": "dB{mW}",  # UCUM has no level over a milliwatt but by an annotation
    "speed": "km/h",
    "temperature": "Cel",
    "velocity_rms_x": "mm/s",
    "velocity_rms_y": "mm/s",
    "velocity_rms_z": "mm/s",
    "vibration": "mm/s",
    "voltage": "V",
    "wear": "1",
    "wind_speed": "m/s",
}

UNITLESS = frozenset(
    {"charging", "compressor_on", "door", "door_open", "ignition", "running", "state"}
)
"""Fields of the ready profiles that are no quantities."""
