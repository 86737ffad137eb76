"""Answers that come in parts: each says where the rest is."""

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

from telemetry.client.errors import NotUnderstood


class Page(Protocol):
    """A part of an answer; `next` is the path to the rest, if there is one."""

    @property
    def next(self) -> str | None:
        """The path to the rest."""


AnyPage = TypeVar("AnyPage", bound=Page)
Found = TypeVar("Found")


class Ask(Protocol):
    """Asks for a path with parameters, and reads the answer as a type."""

    def __call__(self, kind: type[Found], path: str, parameters: Mapping[str, str]) -> Found:
        """Return the answer."""


def pages(
    ask: Ask, kind: type[AnyPage], path: str, parameters: Mapping[str, str]
) -> Iterator[AnyPage]:
    """Yield the parts of an answer, each asked for when it is wanted."""
    cursor: Mapping[str, str] = {}
    while True:
        page = ask(kind, path, {**parameters, **cursor})
        yield page
        if page.next is None:
            return
        cursor = {"cursor": _cursor(page.next)}


def _cursor(path: str) -> str:
    # Not the path itself: behind a proxy the API may not know how it is reached.
    found = parse_qs(urlsplit(path).query).get("cursor")
    if not found:
        raise NotUnderstood(f"the path to the next page has no cursor: {path[:200]!r}")
    return found[0]
