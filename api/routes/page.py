"""The live page."""

from flask import Blueprint, render_template

from api.openapi.declaration import HTML, declares

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
@declares("The live page", answers={200: {HTML: str}}, scope=None)
def page() -> str:
    """Show the fleet, live."""
    return render_template("page.html")
