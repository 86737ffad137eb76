"""The mistakes in a table of a file, each with its key path and what is allowed there.

msgspec stops at the first mistake; here every key is converted by itself, so that a person sees all
of them at once.
"""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct


def mistakes(found: Any, kind: type[Struct], path: str = "") -> Iterator[str]:
    """Yield the mistakes in what should be a table of this kind, as `path: what is wrong`."""
    if not isinstance(found, dict):
        yield f"{path}: expected a table"
        return
    declared = {field.name: field for field in msgspec.structs.fields(kind)}
    for key, value in found.items():
        at = f"{path}.{key}".lstrip(".")
        if key in declared:
            yield from _in_value(value, declared[key].type, at)
        elif key != kind.__struct_config__.tag_field:
            yield f"{at}: not a known key"
    for name, field in declared.items():
        if field.required and name not in found:
            yield f"{path}.{name}: is missing".lstrip(".")


def _in_value(value: Any, annotation: Any, path: str) -> Iterator[str]:
    tables = _tables(annotation)
    if tables and isinstance(value, dict):
        yield from _in_table(value, tables, path)
    elif tables and isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from _in_table(one, tables, f"{path}[{index}]")
    else:
        yield from _converted(value, annotation, path)


def _in_table(value: Any, tables: list[type[Struct]], path: str) -> Iterator[str]:
    tag_field = tables[0].__struct_config__.tag_field
    if tag_field is None or not isinstance(value, dict):
        yield from mistakes(value, tables[0], path)
        return
    kinds = {str(table.__struct_config__.tag): table for table in tables}
    if value.get(tag_field) in kinds:
        yield from mistakes(value, kinds[value[tag_field]], path)
    else:
        yield f"{path}.{tag_field}: {value.get(tag_field)!r} is not one of {', '.join(kinds)}"


def _converted(value: Any, annotation: Any, path: str) -> Iterator[str]:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        what, _, below = str(error).partition(" - at `$")
        what = what[0].lower() + what[1:].replace("`", "")
        if "matching regex" in what:
            what = "not a name"
        below = re.sub(r"`$", "", below)
        allowed = _description(annotation) or "what the README of sensors/ says"
        yield f"{path}{below}: {what}; allowed is {allowed}"


def _tables(annotation: Any) -> list[type[Struct]]:
    """Return the kinds of table that a type is, or is a list of."""
    origin = get_origin(annotation)
    if origin in (Annotated, list, Union, UnionType):
        inside = get_args(annotation)
        inside = inside[:1] if origin is Annotated else inside
        return [table for one in inside for table in _tables(one)]
    is_table = isinstance(annotation, type) and issubclass(annotation, Struct)
    return [annotation] if is_table else []


def _description(annotation: Any) -> str | None:
    metas = [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Meta)]
    return next((meta.description for meta in metas if meta.description), None)
