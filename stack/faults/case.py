"""A case of the fault table: its number and name, what it has to show, and what came of it."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from telemetry.audit import AuditReport


class Observation(Struct, frozen=True):
    """One thing that had to be seen, in words, and whether it was."""

    met: bool
    text: str


class Result(Struct, frozen=True):
    """A line of `build/faults.json`."""

    case: int
    name: str
    fault_seen: bool
    lost: int
    duplicated: int
    passed: bool
    seconds: float


class Trial:
    """One run of a case, into which the case puts its proofs, observations and audits.

    `quick` asks for the smaller and shorter form; `say` tells a person what is going on.
    """

    def __init__(
        self,
        *,
        folder: Path,
        quick: bool = False,
        ingest_module: str = "ingest",
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.folder = folder
        self.quick = quick
        self.ingest_module = ingest_module
        self.say = say
        self.proofs: list[Observation] = []
        self.observations: list[Observation] = []
        self.lost = 0
        self.duplicated = 0
        self._most_lost = 0
        self._audited = False

    def fault(self, seen: object, text: str) -> None:
        """Note a proof that the fault took place or met work; one that failed voids the case."""
        self.proofs.append(Observation(bool(seen), text))

    def must(self, met: object, text: str) -> None:
        """Note what has to be seen, with the figure that was seen."""
        self.observations.append(Observation(bool(met), text))

    def allow_lost(self, readings: int, why: str) -> None:
        """Accept a loss up to the documented bound of this fault."""
        self._most_lost += readings
        self.observations.append(Observation(True, f"{readings:,} may be lost: {why}"))

    def audited(self, report: AuditReport, *, overwritten: int = 0) -> None:
        """Take in the audit over all devices; so many overwritten readings it must name."""
        self._audited = True
        levels = [*report.by_qos.values(), report.unknown]
        self.lost += report.by_qos[1].lost + report.by_qos[2].lost
        self.duplicated += sum(level.duplicated for level in levels)
        strange = sum(level.phantom + level.moved for level in levels)
        self.must(not strange, f"{strange} stored readings that were never offered there")
        found = sum(level.overwritten for level in levels)
        self.must(found == overwritten, f"{found} readings overwritten ({overwritten} expected)")

    @property
    def fault_seen(self) -> bool:
        """Whether the fault was proven."""
        return bool(self.proofs) and all(proof.met for proof in self.proofs)

    @property
    def passed(self) -> bool:
        """Whether the fault took place, all was seen that must be, and nothing is missing."""
        return not self.reasons()

    def reasons(self) -> list[str]:
        """Say why the case has not passed; empty where it has."""
        found = [f"not proven: {proof.text}" for proof in self.proofs if not proof.met]
        if not self.proofs:
            found.append("not proven: nothing showed that the fault took place")
        found += [one.text for one in self.observations if not one.met]
        if not self._audited:
            found.append("there was no audit")
        if self.lost > self._most_lost:
            found.append(f"{self.lost:,} acknowledged readings are lost")
        if self.duplicated:
            found.append(f"{self.duplicated:,} readings are stored twice")
        return found


class Case(Struct, frozen=True):
    """A row of the table and the function that runs it."""

    number: int
    name: str
    run: Callable[[Trial], None]

    def result(self, trial: Trial, seconds: float) -> Result:
        """Return the line for `build/faults.json`."""
        return Result(
            self.number,
            self.name,
            trial.fault_seen,
            trial.lost,
            trial.duplicated,
            trial.passed,
            round(seconds, 1),
        )


CASES: dict[int, Case] = {}
QUICK = (1, 2, 8, 13, 17, 24)
"""The rows that are cheap enough, and telling enough, for every test run."""


def case(number: int, name: str) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Register a function as a row of the table."""

    def register(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        if number in CASES:
            raise ValueError(f"case {number} is there twice")
        CASES[number] = Case(number, name, run)
        return run

    return register
