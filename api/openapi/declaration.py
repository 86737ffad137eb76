"""What a view says of itself: its parameters, body, answers and scope, in types of the code.

    @blueprint.get("/<device>/readings")
    @declares(
        "Readings of one device",
        parameters=DeviceReadingsParameters,
        answers={200: {JSON: ReadingsAnswer, CSV: str, NDJSON: ReadingAnswer}},
        problems=(404,),
    )
    def device_readings(device: str) -> Response: ...

A type alone stands for its JSON. The problems that every route may answer (400, 401, 403, 429, 500,
503, 504; 413 and 415 with a body) are not said again. `scope=None` is a route that is open to all
and that asks nothing of the store.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from telemetry.keys import Scope
from telemetry.worked_out import worked_out

JSON = "application/json"
CSV = "text/csv"
NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
HTML = "text/html"
TEXT = "text/plain"

Content = Mapping[str, Any]
"""What an answer may hold: the type of its body, by media type."""

_ATTRIBUTE = "_denyut_declaration"

View = TypeVar("View", bound=Callable[..., object])


class Declaration(Struct, frozen=True):
    """What one view takes and answers."""

    summary: str
    answers: Mapping[int, Content]
    parameters: type[Struct] | None
    path: Mapping[str, Any]
    body: Any
    problems: tuple[int, ...]
    scope: Scope | None


def declares(
    summary: str,
    *,
    answers: Mapping[int, Any],
    parameters: type[Struct] | None = None,
    path: Mapping[str, Any] | None = None,
    body: Any = None,
    problems: Iterable[int] = (),
    scope: Scope | None = "read",
) -> Callable[[View], View]:
    """Say what a view takes and answers; `path` types the parts of its path but for `device`."""
    if parameters is not None:
        worked_out(parameters)
    declaration = Declaration(
        summary,
        {status: _content(answer) for status, answer in answers.items()},
        parameters,
        path or {},
        body,
        tuple(problems),
        scope,
    )

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, declaration)
        return view

    return mark


def declaration_of(view: Callable[..., object] | None) -> Declaration | None:
    """Return what a view declares, or None where it does not."""
    found: Declaration | None = getattr(view, _ATTRIBUTE, None)
    return found


def _content(answer: Any) -> Content:
    return answer if isinstance(answer, Mapping) else {JSON: answer}
