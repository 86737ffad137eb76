"""`/v1/sites`: which sites there are."""

from collections.abc import Sequence

from flask import Blueprint, Response
from msgspec import Struct

from api import inventory
from api.answers import json_response
from api.cursors import with_link
from api.inventory import SiteAnswer
from api.openapi.declaration import declares
from api.pages import page_of
from api.parameters import SitesParameters, parameters
from api.quantities import Count
from api.room import room

blueprint = Blueprint("sites", __name__, url_prefix="/v1/sites")


class SitesAnswer(Struct, frozen=True):
    """The sites, by name; `count` is how many there are, `next` the path to the rest."""

    sites: Sequence[SiteAnswer]
    count: Count
    truncated: bool
    next: str | None


@blueprint.get("")
@declares("The sites, by name", parameters=SitesParameters, answers={200: SitesAnswer})
def sites() -> Response:
    """Answer with the sites that have devices."""
    asked = parameters(SitesParameters)
    page = page_of(
        lambda: inventory.sites(room().devices().values()), lambda site: site.site, asked
    )
    answer = SitesAnswer(page.items, page.count, page.next is not None, page.next)
    return with_link(json_response(answer), page.next)
