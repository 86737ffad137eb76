"""JSON Schema of the code's own types, as the document shows them."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, Struct

from api.parameters import FieldNames
from api.times import Duration, Moment

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
# Nothing that these let pass is refused: from 1971 on, so that no offset leads before the epoch.
_YEAR = "(197[1-9]|19[89][0-9]|2[01][0-9]{2}|22[0-5][0-9])"
_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_DURATION = "[1-9][0-9]{0,4}(ms|s|m|h|d)"

_PARSED: Mapping[type, Schema] = {
    Moment: {
        "type": "string",
        "anyOf": [
            {"pattern": f"^{_YEAR}-{_DAY}T{_CLOCK}{_OFFSET}$"},
            {"pattern": "^([0-9]{1,12}|[1-8][0-9]{12})$"},
            {"pattern": f"^-{_DURATION}$"},
            {"const": "now"},
        ],
        "examples": ["2026-01-31T12:00:00Z", "1769860800000", "-1h", "now"],
    },
    Duration: {
        "type": "string",
        "pattern": f"^{_DURATION}$",
        "examples": ["10s", "5m"],
    },
    FieldNames: {
        "type": "string",
        "pattern": "^[A-Za-z0-9_.:-]{1,64}(,[A-Za-z0-9_.:-]{1,64}){0,14}$",
        "examples": ["temperature", "temperature,humidity"],
    },
}


class Schemas:
    """The schemas of all types that the document names."""

    def __init__(self, types: Iterable[Any]) -> None:
        found = list(dict.fromkeys(types))
        schemas, components = msgspec.json.schema_components(found, ref_template=_REFERENCE)
        self._schemas = dict(zip(found, map(_portable, schemas), strict=True))
        self.components = {
            name: _closed(_portable(components[name])) for name in sorted(components)
        }

    def of(self, kind: Any) -> Schema:
        """Return a type's schema, which refers to components by name."""
        schema: Schema = self._schemas[kind]
        return schema


def parameter_schemas(kind: type[Struct]) -> list[tuple[str, bool, Schema]]:
    """Return each parameter's name, whether it must be given, and the schema of its text."""
    found = []
    for field in msgspec.structs.fields(kind):
        schema = _parameter_schema(field.type)
        required = field.default is NODEFAULT and field.default_factory is NODEFAULT
        found.append((field.encode_name, required, schema))
    return found


def text_schema(kind: Any) -> Schema:
    """Return the schema of a single value that comes as text: a parameter, or a part of a path."""
    return _parameter_schema(kind)


def _parameter_schema(annotation: Any) -> Schema:
    for parsed, schema in _PARSED.items():
        if parsed in _parts(annotation):
            return {**schema, **_description(annotation)}
    schema = _portable(msgspec.json.schema(annotation))
    # No text stands for null: a parameter that has no value is left out.
    kept = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if kept:
        rest = {name: value for name, value in schema.items() if name != "anyOf"}
        schema = {**rest, **kept[0]} if len(kept) == 1 else {**rest, "anyOf": kept}
    if None in schema.get("enum", ()):
        schema = {**schema, "enum": [one for one in schema["enum"] if one is not None]}
    return schema


def _description(annotation: Any) -> Schema:
    for part in (annotation, *get_args(annotation)):
        for meta in getattr(part, "__metadata__", ()):
            if meta.description:
                return {"description": meta.description}
    return {}


def _parts(annotation: Any) -> set[Any]:
    return {annotation}.union(*(_parts(part) for part in get_args(annotation)))


def _closed(schema: Schema) -> Schema:
    """Say of an object with named fields that it has no others."""
    if "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema


def _portable(schema: Any) -> Any:
    """Put a pattern's end as JSON Schema knows it (ECMA 262): Python's `\\Z` is `$` there."""
    if isinstance(schema, dict):
        return {
            name: value.replace(r"\Z", "$") if name == "pattern" else _portable(value)
            for name, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_portable(value) for value in schema]
    return schema
