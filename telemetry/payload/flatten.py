"""Nested JSON becomes fields: `{"a": {"b": 1}}` is the field `a.b`."""

from typing import Any

from telemetry.payload.decoded import PayloadError

_DEEPEST = 16


def flatten(nested: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the fields of a nested object, and how many nulls and arrays were left out."""
    fields: dict[str, Any] = {}
    left_out = _flatten_into(fields, "", nested, _DEEPEST)
    return fields, left_out


def _flatten_into(fields: dict[str, Any], prefix: str, nested: dict[str, Any], depth: int) -> int:
    if depth == 0:
        raise PayloadError("nested too deeply")
    left_out = 0
    for name, value in nested.items():
        if isinstance(value, dict):
            left_out += _flatten_into(fields, f"{prefix}{name}.", value, depth - 1)
        elif value is None or isinstance(value, list):
            left_out += 1
        elif f"{prefix}{name}" in fields:
            raise PayloadError(f"two values for {prefix}{name}")
        else:
            fields[f"{prefix}{name}"] = value
    return left_out
