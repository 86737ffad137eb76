"""What InfluxDB's messages give away of the lines that it refuses.

A 400 quotes them; a 422 names a field and its type, or the time before which nothing is taken, and
leaves it to the writer to look for the lines. Seen in 2.9.1; another wording only costs requests.
"""

import re
from collections.abc import Sequence
from datetime import datetime

_QUOTE = "unable to parse '"
_CONFLICT = re.compile(
    r'input field "(?P<field>.+)" on measurement "(?P<measurement>.+)" is type (?P<type>\w+),'
)
_LOWER_BOUND = re.compile(r"Lower Bound at (?P<time>[-:.0-9T]+Z)")
# How a value of a type begins in a line.
_BEGINNINGS = {"string": '"', "boolean": "[tTfF]", "float": r"[-+.\d]", "integer": r"[-+\d]"}


def quoted(lines: Sequence[str], message: str) -> dict[int, str]:
    """Return which lines the message of a 400 quotes, and what it says of each.

    They stand in the order of the lines. A text may hold what looks like a quotation, so that each
    is looked for only behind the end of the one before; an unknown one ends the search.
    """
    found: dict[int, str] = {}
    index, at = 0, message.find(_QUOTE)
    while at >= 0:
        begin = at + len(_QUOTE)
        index = _next_at(lines, index, message, begin)
        if index == len(lines):
            break
        end = begin + len(lines[index]) + len("': ")
        at = message.find("\n" + _QUOTE, end)
        found[index] = message[end:] if at < 0 else message[end:at]
        index, at = index + 1, at + 1 if at >= 0 else at
    return found


def suspects(lines: Sequence[str], message: str) -> list[int]:
    """Return the lines that the message of a 422 may mean: all that it means, if not only those."""
    bound = _LOWER_BOUND.search(message)
    if bound is not None:
        oldest_ms = datetime.fromisoformat(bound["time"]).timestamp() * 1000
        return [index for index, line in enumerate(lines) if _time_ms(line) < oldest_ms]
    conflict = _CONFLICT.search(message)
    if conflict is None or conflict["type"] not in _BEGINNINGS:
        return []
    key = re.escape(conflict["field"])
    pattern = re.compile(f"[ ,]{key}={_BEGINNINGS[conflict['type']]}")
    return [index for index, line in enumerate(lines) if pattern.search(line)]


def _next_at(lines: Sequence[str], index: int, message: str, begin: int) -> int:
    """Return the first line from `index` on that is quoted at `begin`; else how many there are."""
    while index < len(lines):
        line = lines[index]
        if message.startswith(line, begin) and message.startswith("': ", begin + len(line)):
            return index
        index += 1
    return index


def _time_ms(line: str) -> int:
    return int(line.rpartition(" ")[2])
