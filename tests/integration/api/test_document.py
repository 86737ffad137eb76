"""`/openapi.json` and `/docs`: every route, from the code's own types, without anything else."""

import re
from typing import Any

import pytest
from flask import Flask
from msgspec import Struct

from api.openapi.declaration import TEXT, declares
from api.openapi.document import IMPLIED_METHODS, document, operations, paths_of
from api.parameters import NoParameters, parameters
from tests.integration.api.conftest import Asking, Client


@pytest.fixture
def found(get: Asking) -> dict[str, Any]:
    """The document as it is answered."""
    answer: dict[str, Any] = get("/openapi.json")
    return answer


def rules(app: Flask) -> set[tuple[str, str]]:
    """(path, method) of every route of the url map, but for the pages' files."""
    return {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - IMPLIED_METHODS
    }


def test_every_route_of_the_url_map_stands_in_the_document(
    client: Client, found: dict[str, Any]
) -> None:
    assert paths_of(found) == rules(client.application)


def test_a_route_that_declares_nothing_is_named(client: Client) -> None:
    client.application.add_url_rule("/v1/quiet", "quiet", lambda: "")
    with pytest.raises(LookupError, match="quiet"):
        operations(client.application)


class Colours(Struct, frozen=True):
    colour: str = "red"


def test_a_view_that_reads_what_it_does_not_declare_fails(client: Client) -> None:
    @declares("Colours", parameters=Colours, answers={200: {TEXT: str}}, scope=None)
    def colours() -> str:
        return parameters(NoParameters).__class__.__name__

    client.application.add_url_rule("/colours", view_func=colours)
    assert client.get("/colours").status_code == 500


def test_every_operation_says_itself_in_a_line_and_is_named_once(found: dict[str, Any]) -> None:
    every = [one for methods in found["paths"].values() for one in methods.values()]
    assert all(one["summary"] and "\n" not in one["summary"] for one in every)
    assert len({one["operationId"] for one in every}) == len(every)


def test_objects_of_answers_have_the_named_fields_and_no_others(found: dict[str, Any]) -> None:
    schemas = found["components"]["schemas"]
    assert {"DeviceAnswer", "ReadingAnswer", "ProblemDetails"} <= set(schemas)
    with_fields = [one for one in schemas.values() if "properties" in one]
    assert with_fields
    assert all(one["additionalProperties"] is False for one in with_fields)


def test_the_document_says_formats_limits_and_what_is_allowed(found: dict[str, Any]) -> None:
    given = {one["name"]: one for one in found["paths"]["/v1/readings"]["get"]["parameters"]}
    assert given["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1_000,
    }
    assert given["order"]["schema"]["enum"] == ["asc", "desc"]
    assert "RFC 3339" in given["start"]["description"]
    assert not given["site"]["required"]
    reading = found["components"]["schemas"]["ReadingAnswer"]["properties"]
    assert reading["time"]["format"] == "date-time"


def test_every_answer_names_its_headers(found: dict[str, Any]) -> None:
    answers = found["paths"]["/v1/fleet"]["get"]["responses"]
    assert all("X-Request-ID" in answer["headers"] for answer in answers.values())
    assert {"ETag", "Link"} <= set(answers["200"]["headers"])
    assert "content" not in answers["304"]
    assert "Retry-After" in answers["429"]["headers"]
    assert "WWW-Authenticate" in answers["401"]["headers"]
    named = {
        name
        for methods in found["paths"].values()
        for one in methods.values()
        for answer in one["responses"].values()
        for name in answer["headers"]
    }
    assert named == set(found["components"]["headers"])


def test_patterns_are_such_as_every_reader_of_the_document_knows(found: dict[str, Any]) -> None:
    assert r"\Z" not in str(found)


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs", "/"])
def test_what_is_open_to_all_asks_for_no_key(found: dict[str, Any], path: str) -> None:
    operation = found["paths"][path]["get"]
    assert "security" not in operation
    assert "401" not in operation["responses"]


def test_the_page_shows_every_route_and_schema_and_loads_nothing_from_elsewhere(
    client: Client, found: dict[str, Any]
) -> None:
    page = client.get("/docs").text
    for path, methods in found["paths"].items():
        assert path in page
        assert all(f'id="{one["operationId"]}"' in page for one in methods.values())
    assert all(f'id="schema-{name}"' in page for name in found["components"]["schemas"])
    assert not re.search(r'(?:src|href)="(?!/|#)', page)


def test_the_document_is_the_same_each_time(client: Client, found: dict[str, Any]) -> None:
    app = client.application
    again = document(app, app.extensions["denyut"].settings)
    assert list(again["paths"]) == list(found["paths"])
    assert again["components"]["schemas"] == found["components"]["schemas"]
