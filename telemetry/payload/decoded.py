"""What a payload became: readings, rejected parts with their reasons, and what was left out."""

from itertools import count, islice

from msgspec import Struct

from telemetry.reading import Reading


class PayloadError(ValueError):
    """Raised when a payload, or one reading of a pack, cannot be read; says why."""


class Rejected(Struct, frozen=True):
    """One reading of a pack that was rejected: its place in the pack, and why."""

    index: int
    reason: str


class Decoded(Struct):
    """The readings of one payload; `left_out` counts nulls and arrays, which have no place.

    `places` says where in the payload each reading began, where one is made of several parts.
    """

    readings: list[Reading]
    rejected: list[Rejected]
    left_out: int = 0
    places: list[int] | None = None

    def places_of_readings(self) -> list[int] | None:
        """Return where in the payload each reading stood; None: as here, at its own index."""
        if self.places is not None or not self.rejected:
            return self.places
        bad = {rejected.index for rejected in self.rejected}
        return list(islice((place for place in count() if place not in bad), len(self.readings)))
