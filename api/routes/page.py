"""The live page."""

from flask import Blueprint, render_template

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
def page() -> str:
    """Show the fleet, live."""
    return render_template("page.html")
