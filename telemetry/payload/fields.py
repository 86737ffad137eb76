"""Fields: what they may be called, and how many a reading may have."""

import re
from collections.abc import Mapping

from telemetry.payload.decoded import PayloadError
from telemetry.reading import FIELD_NAME_PATTERN, MAX_FIELDS, NAME_RULE, Value

BAD_NAME = f"a field's name breaks the rule ({NAME_RULE}) or is reserved"

_MOST_KNOWN = 100_000
_is_field_name = re.compile(FIELD_NAME_PATTERN).match
# A fleet has few names: looking a reading's up takes a tenth of the time of matching each.
_known: set[str] = set()


def check_fields(values: Mapping[str, Value]) -> None:
    """Raise PayloadError where a field's name breaks the rule, or there are none or too many."""
    if not _known.issuperset(values):
        _learn(values)
    if not 0 < len(values) <= MAX_FIELDS:
        raise PayloadError(f"{len(values)} values: 1 to {MAX_FIELDS} are allowed")


def is_field_name(name: str) -> bool:
    """Whether a field may be called so."""
    return name in _known or _is_field_name(name) is not None


def _learn(names: Mapping[str, Value]) -> None:
    if not all(map(_is_field_name, names)):
        raise PayloadError(BAD_NAME)
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    _known.update(names)
