"""Lists by name, page by page."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import request
from msgspec.structs import replace

from api.cursors import cursor_of, next_path, place_of
from api.parameters import ListParameters, at_most
from api.room import room

Item = TypeVar("Item")


def page_of(
    items: Sequence[Item], name: Callable[[Item], str], asked: ListParameters
) -> tuple[Sequence[Item], str | None]:
    """Return what a page holds of a list in order of names, and the path to the next one."""
    limit = at_most("limit", asked.limit, room().settings.max_points)
    question = replace(asked, limit=1, cursor=None)
    if asked.cursor is not None:
        behind = place_of(asked.cursor, question, str)
        items = [one for one in items if name(one) > behind]
    if len(items) <= limit:
        return items, None
    shown = items[:limit]
    return shown, next_path(request, cursor_of(question, name(shown[-1])))
