"""`/v1/measurements`: what is measured, in which units."""

from collections.abc import Sequence

from flask import Blueprint, Response
from msgspec import Struct

from api import inventory
from api.answers import json_response
from api.cursors import with_link
from api.inventory import MeasurementAnswer
from api.openapi.declaration import declares
from api.pages import page_of
from api.parameters import MeasurementsParameters, parameters
from api.quantities import Count
from api.room import room

blueprint = Blueprint("measurements", __name__, url_prefix="/v1/measurements")


class MeasurementsAnswer(Struct, frozen=True):
    """The measurements, by name; `count` is how many there are, `next` the path to the rest."""

    measurements: Sequence[MeasurementAnswer]
    count: Count
    truncated: bool
    next: str | None


@blueprint.get("")
@declares(
    "The measurements and their fields, by name",
    parameters=MeasurementsParameters,
    answers={200: MeasurementsAnswer},
)
def measurements() -> Response:
    """Answer with what devices measure, at a site or anywhere."""
    asked = parameters(MeasurementsParameters)
    page = page_of(lambda: _found(asked.site), lambda one: one.measurement, asked)
    answer = MeasurementsAnswer(page.items, page.count, page.next is not None, page.next)
    return with_link(json_response(answer), page.next)


def _found(site: str | None) -> list[MeasurementAnswer]:
    questions = room().questions
    return inventory.measurements(questions.series(), questions.fields(), site)
