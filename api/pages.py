"""Lists by name, page by page."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from flask import request
from msgspec import Struct
from msgspec.structs import replace

from api.cursors import cursor_of, next_path, place_of
from api.parameters import ListParameters, at_most
from api.room import room

Item = TypeVar("Item")


class Page(Struct, Generic[Item], frozen=True):
    """A part of a list of `count`; `next` is the path to the rest, if there is one."""

    items: Sequence[Item]
    count: int
    next: str | None


def page_of(
    find: Callable[[], Sequence[Item]], name: Callable[[Item], str], asked: ListParameters
) -> Page[Item]:
    """Return what a page holds of a list in order of names; too much is not looked for."""
    limit = at_most("limit", asked.limit, room().settings.max_points)
    question = replace(asked, limit=1, cursor=None)
    behind = None if asked.cursor is None else place_of(asked.cursor, question, str)
    found = find()
    left = found if behind is None else [one for one in found if name(one) > behind]
    if len(left) <= limit:
        return Page(left, len(found), None)
    shown = left[:limit]
    path = next_path(request, cursor_of(question, name(shown[-1])))
    return Page(shown, len(found), path)
