"""Quantities as answers give them: typed once, so that the API's document says their limits."""

from typing import Annotated

from msgspec import Meta

Time = Annotated[
    str,
    Meta(
        description="RFC 3339 in UTC, with milliseconds",
        examples=["2026-01-31T12:00:00.250Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0, description="milliseconds")]
Rate = Annotated[float, Meta(ge=0, description="readings per second")]
