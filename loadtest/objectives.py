"""Objectives: read from a TOML file, and held against what a run measured."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from loadtest import ObjectivesError

SHIPPED = Path(__file__).with_name("objectives.toml")

Milliseconds = Annotated[float, Meta(gt=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]


Users = Literal["readers", "streams", "publishers", "freshness"]


class Objective(Struct, frozen=True, forbid_unknown_fields=True):
    """What operations of a name (a pattern) must keep to."""

    operation: Annotated[str, Meta(min_length=1)]
    users: Users | None = None
    """By whom it is done; where there are none of them, the objective does not apply."""
    p95_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None
    failure_percent: Percent | None = None


class RunObjective(Struct, frozen=True, forbid_unknown_fields=True):
    """What the run as a whole must keep to.

    `rate_percent` is of the load that was to be made; `lost` of what the broker acknowledged.
    """

    rate_percent: Percent = 95.0
    lost: Annotated[int, Meta(ge=0)] = 0


class Objectives(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of objectives."""

    objectives: Annotated[list[Objective], Meta(min_length=1)]
    run: RunObjective = RunObjective()


class Operation(Struct, frozen=True):
    """What was measured of one operation; None where it is counted alone."""

    name: str
    users: Users
    requests: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Measured(Struct, frozen=True):
    """What a run measured; None is what it could not measure.

    `users` is who took part; without a publisher nothing can be lost.
    """

    operations: list[Operation]
    rate_percent: float | None
    seconds: float
    lost: int | None = None
    users: frozenset[Users] = frozenset({"readers"})


class Judged(Struct, frozen=True):
    """A line of `build/loadtest/verdict.json`; `result` is None where nothing was measured."""

    objective: str
    target: float
    result: float | None
    met: bool


def read_objectives(path: Path) -> Objectives:
    """Return a file's objectives; ObjectivesError names the file and the key of a mistake."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        found = msgspec.convert(told, Objectives)
    except OSError as error:
        raise ObjectivesError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ObjectivesError(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        raise ObjectivesError(f"{path}: {where.strip('.`') or 'the file'}: {said}") from error
    for number, objective in enumerate(found.objectives):
        if all(limit is None for limit in _limits(objective).values()):
            raise ObjectivesError(
                f"{path}: objectives[{number}]: sets no p95_ms, p99_ms or failure_percent"
            )
    return found


def judge(objectives: Objectives, measured: Measured, *, seconds: float) -> list[Judged]:
    """Hold a run against its objectives; what was not measured was not met.

    `seconds` is how long it was to take: one that was cut short shows nothing.
    """
    judged = [
        _at_least("seconds", seconds, measured.seconds),
        _at_least("rate_percent", objectives.run.rate_percent, measured.rate_percent),
    ]
    if measured.users & {"publishers", "freshness"}:
        judged.append(_at_most("lost", objectives.run.lost, measured.lost))
    for objective in objectives.objectives:
        if objective.users is None or objective.users in measured.users:
            judged += _judged(objective, measured)
    return judged


def judge_limit(at_least: float, knee: float | None, measured: Measured) -> list[Judged]:
    """Judge a search for the limit: the knee, and that past it nothing was lost either."""
    judged = [_at_least("knee in operations/s", at_least, knee)]
    if measured.users & {"publishers", "freshness"}:
        judged.append(_at_most("lost", 0, measured.lost))
    return judged


def _at_least(name: str, target: float, result: float | None) -> Judged:
    met = result is not None and result >= target
    return Judged(f"{name}, at least", target, _rounded(result), met)


def _at_most(name: str, target: float, result: float | None) -> Judged:
    met = result is not None and result <= target
    return Judged(f"{name}, at most", target, _rounded(result), met)


def _judged(objective: Objective, measured: Measured) -> Iterator[Judged]:
    found = [
        one
        for one in measured.operations
        if fnmatchcase(one.name, objective.operation) and objective.users in (None, one.users)
    ]
    results = _results([one for one in found if one.requests])
    for what, target in _limits(objective).items():
        if target is not None:
            name = "all" if objective.operation == "*" else objective.operation
            name += f" of {objective.users}" if name == "all" and objective.users else ""
            yield _at_most(f"{name} {what}", target, results.get(what))


def _limits(objective: Objective) -> Mapping[str, float | None]:
    limits = msgspec.structs.asdict(objective)
    del limits["operation"], limits["users"]
    return limits


def _results(found: Iterable[Operation]) -> dict[str, float | None]:
    """Return what all the operations that an objective is for kept to: the worst of each."""
    operations = list(found)
    if not operations:
        return {}
    requests = sum(one.requests for one in operations)
    return {
        "p95_ms": _worst(one.p95_ms for one in operations),
        "p99_ms": _worst(one.p99_ms for one in operations),
        "failure_percent": 100 * sum(one.failures for one in operations) / requests,
    }


def _worst(times_ms: Iterable[float | None]) -> float | None:
    return max((ms for ms in times_ms if ms is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
