"""`/openapi.json` and `/docs`: what the API takes and answers, for programs and for people."""

from typing import Any

from flask import Blueprint, Response, current_app, render_template

from api.answers import json_response
from api.openapi.declaration import HTML, declares
from api.openapi.document import document
from api.room import room

_MADE = "denyut_document"

blueprint = Blueprint("document", __name__)


@blueprint.get("/openapi.json")
@declares("This document", answers={200: dict[str, Any]}, scope=None)
def openapi() -> Response:
    """Answer with the OpenAPI document."""
    return json_response(_document())


@blueprint.get("/docs")
@declares("This document as a page", answers={200: {HTML: str}}, scope=None)
def docs() -> str:
    """Show the document."""
    return render_template("docs.html", document=_document())


def _document() -> dict[str, Any]:
    extensions = current_app.extensions
    if _MADE not in extensions:  # at the first question, when every blueprint is there
        extensions[_MADE] = document(current_app, room().settings)
    made: dict[str, Any] = extensions[_MADE]
    return made
