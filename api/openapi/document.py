"""The document itself: a path for each route of the application, an operation for each method."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask
from msgspec import Struct
from werkzeug.routing import Rule

from api.openapi.declaration import JSON, Declaration, declaration_of
from api.openapi.schemas import Schema, Schemas, parameter_schemas, text_schema
from api.parameters import Device
from api.request_ids import HEADER as REQUEST_ID
from api.settings import ApiSettings
from telemetry import __version__
from telemetry.problem import CONTENT_TYPE, ProblemDetails

IMPLIED_METHODS = frozenset({"HEAD", "OPTIONS"})
"""What every route answers besides; a HEAD is its GET without the body."""

_STATIC = "static"
_VARIABLE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
_PROBLEM_HEADERS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("Retry-After",),
}
_HEADERS: Mapping[str, Schema] = {
    REQUEST_ID: {
        "description": "the asker's own id, or a new one; the log's lines carry it",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"},
    },
    "ETag": {
        "description": "for If-None-Match, which is answered with 304 while it is the same",
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]+"$'},
    },
    "Link": {
        "description": "where there is more: the path of the next page, as in `next`",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "in how many seconds to ask again",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "how a key is sent, and what was wrong with it (RFC 6750)",
        "schema": {"type": "string"},
    },
}
_DESCRIPTION = """\
A fleet's devices, their readings and how they were delivered. Times are RFC 3339 in UTC; every \
error is a problem (RFC 9457). A parameter that is not listed is refused, as is one given twice."""


class Operation(Struct, frozen=True):
    """One method of one route, with what its view declares."""

    path: str
    method: str
    tag: str
    name: str
    variables: tuple[str, ...]
    declaration: Declaration


def operations(app: Flask) -> list[Operation]:
    """Return every operation of an application; LookupError names a view that declares nothing."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == _STATIC:
            continue  # files of the pages, not of the API
        declaration = declaration_of(app.view_functions[rule.endpoint])
        if declaration is None:
            raise LookupError(f"the view {rule.endpoint} of {rule.rule} declares nothing")
        found += [_operation(rule, method, declaration) for method in _methods(rule)]
    return sorted(found, key=lambda one: (one.path, one.method))


def document(app: Flask, settings: ApiSettings) -> dict[str, Any]:
    """Return the document of an application, with the limits that its settings set."""
    found = operations(app)
    schemas = Schemas(_types(found))
    paths: dict[str, dict[str, Any]] = {}
    for one in found:
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one, schemas, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Denyut",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(rule: Rule, method: str, declaration: Declaration) -> Operation:
    blueprint, _, view = rule.endpoint.rpartition(".")
    return Operation(
        path=_VARIABLE.sub(r"{\1}", rule.rule),
        method=method,
        tag=blueprint or "api",
        name=view if method == "GET" else f"{view}_{method.lower()}",
        variables=tuple(_VARIABLE.findall(rule.rule)),
        declaration=declaration,
    )


def _methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - IMPLIED_METHODS)


def _types(found: list[Operation]) -> Iterator[Any]:
    yield ProblemDetails
    for one in found:
        for content in one.declaration.answers.values():
            yield from content.values()
        if one.declaration.body is not None:
            yield one.declaration.body


def _described(one: Operation, schemas: Schemas, settings: ApiSettings) -> dict[str, Any]:
    declaration = one.declaration
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": declaration.summary,
        "parameters": [*_path_parameters(one), *_query_parameters(declaration, settings)],
        "responses": _responses(one, schemas),
    }
    if declaration.body is not None:
        content = {JSON: {"schema": schemas.of(declaration.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if declaration.scope is not None:
        scope = [declaration.scope]
        described["security"] = [{"bearer": scope}, {"header": scope}]
    return described


def _path_parameters(one: Operation) -> Iterator[Schema]:
    for name in one.variables:
        schema = text_schema(one.declaration.path.get(name, Device))
        yield {"name": name, "in": "path", "required": True, **_lifted(schema)}


def _query_parameters(declaration: Declaration, settings: ApiSettings) -> Iterator[Schema]:
    if declaration.parameters is None:
        return
    for name, required, schema in parameter_schemas(declaration.parameters):
        limited = {**schema, "maximum": settings.max_points} if name in _COUNTS else schema
        yield {"name": name, "in": "query", "required": required, **_lifted(limited)}


_COUNTS = frozenset({"limit", "points"})
"""Parameters that only the settings limit."""


def _lifted(schema: Schema) -> Schema:
    """Return a parameter's schema beside its description, which stands with the parameter."""
    rest = {name: value for name, value in schema.items() if name != "description"}
    return {"description": schema.get("description", ""), "schema": rest}


def _responses(one: Operation, schemas: Schemas) -> dict[str, Any]:
    declaration = one.declaration
    responses: dict[int, Any] = {}
    for status, content in declaration.answers.items():
        shown = {media_type: {"schema": schemas.of(kind)} for media_type, kind in content.items()}
        is_tagged = one.method == "GET" and status == 200 and JSON in content
        responses[status] = _response(status, ("ETag", "Link") if is_tagged else (), shown)
        if is_tagged:
            responses[304] = _response(304, ("ETag",))
    problem = {CONTENT_TYPE: {"schema": schemas.of(ProblemDetails)}}
    for status in sorted(_problems(declaration)):
        responses.setdefault(status, _response(status, _PROBLEM_HEADERS.get(status, ()), problem))
    return {str(status): responses[status] for status in sorted(responses)}


def _response(
    status: int, headers: tuple[str, ...], content: dict[str, Any] | None = None
) -> dict[str, Any]:
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in (REQUEST_ID, *headers)}
    described = {"description": HTTPStatus(status).phrase, "headers": named}
    return described if content is None else {**described, "content": content}


def _problems(declaration: Declaration) -> set[int]:
    found = {*declaration.problems, 413, 500}
    if declaration.scope is not None:
        found |= {400, 401, 403, 429, 503, 504}
    if declaration.body is not None:
        found.add(415)
    return found


def paths_of(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return (path, method) of every operation in a document."""
    return {
        (path, method.upper()) for path, methods in document["paths"].items() for method in methods
    }
