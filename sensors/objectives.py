"""Objectives of a run: what a fleet file asks for, and whether it came about."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
_Number = Annotated[float, Meta(ge=0)]


class Objectives(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[objectives]`; what is not there is not judged."""

    acknowledged_share: Annotated[
        Share | None, Meta(description="of what was offered at QoS 1 and 2, at least: 0 to 1")
    ] = None
    acknowledgement_p99_ms: Annotated[
        _Number | None, Meta(description="from publish to acknowledgement, at most: milliseconds")
    ] = None
    readings_per_s: Annotated[_Number | None, Meta(description="offered, at least: a number")] = (
        None
    )
    late_share: Annotated[
        Share | None, Meta(description="of the readings, handed over over 10 ms late, at most")
    ] = None
    lateness_p99_ms: Annotated[
        _Number | None, Meta(description="of handing over, at most: milliseconds")
    ] = None
    dropped: Annotated[_Number | None, Meta(description="readings, at most: a number")] = None
    refused: Annotated[_Number | None, Meta(description="readings, at most: a number")] = None
    lost_connections: Annotated[_Number | None, Meta(description="at most: a number")] = None


class Figures(Struct, frozen=True):
    """What a run came to, by the objectives' names; None where there was nothing to measure."""

    acknowledged_share: float | None
    acknowledgement_p99_ms: float | None
    readings_per_s: float
    late_share: float
    lateness_p99_ms: float
    dropped: int
    refused: int
    lost_connections: int


class Verdict(Struct, frozen=True):
    """One objective held against the result; what was not measured was not met."""

    objective: str
    target: str
    result: float | None
    met: bool


_AT_LEAST = frozenset({"acknowledged_share", "readings_per_s"})


def judge(objectives: Objectives, figures: Figures) -> Iterator[Verdict]:
    """Yield a verdict for each objective that there is."""
    for name in Objectives.__struct_fields__:
        wanted = getattr(objectives, name)
        if wanted is None:
            continue
        sign: Literal[">=", "<="] = ">=" if name in _AT_LEAST else "<="
        target, result = f"{sign} {wanted:g}", getattr(figures, name)
        if result is None:
            yield Verdict(name, target, None, met=False)
        else:
            met = result >= wanted if name in _AT_LEAST else result <= wanted
            yield Verdict(name, target, round(result, 4), met)
