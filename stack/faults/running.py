"""Running cases one by one; a table at the end, and `build/faults.json`."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stack import StackError
from stack.faults.case import Case, Result, Trial
from telemetry.store import StoreError

FOLDER = Path("build/faults")


class Run:
    """A run of some cases; `results` and `reasons` fill while it goes on."""

    def __init__(
        self,
        cases: Sequence[Case],
        console: Console,
        *,
        report: Path,
        quick: bool = False,
        ingest_module: str = "ingest",
    ) -> None:
        self._cases = cases
        self._console = console
        self._report = report
        self._quick = quick
        self._ingest_module = ingest_module
        self.results: dict[int, Result] = {}
        self.reasons: dict[int, list[str]] = {}

    def all(self) -> bool:
        """Run the cases; return whether all have passed."""
        try:
            for case in self._cases:
                self._one(case)
        finally:
            # Also when the run is stopped: what was found until then counts.
            self._console.print(self._table())
            for number, reasons in self.reasons.items():
                self._tell(number, reasons)
        return all(result.passed for result in self.results.values())

    def _one(self, case: Case) -> None:
        with self._console.status("") as status:
            trial, seconds = run_case(
                case,
                folder_of(case.number),
                quick=self._quick,
                ingest_module=self._ingest_module,
                say=lambda text: status.update(f"row {case.number}, {case.name}: {text}"),
            )
        self.results[case.number] = case.result(trial, seconds)
        if not trial.passed:
            self.reasons[case.number] = trial.reasons()
        word = "[green]passed[/]" if trial.passed else "[bold red]FAILED[/]"
        self._console.print(f"{case.number:>3} {case.name}: {word} in {seconds:.0f} s")
        # After each one: whoever stops the run keeps what was found until then.
        data = msgspec.json.encode(list(self.results.values()))
        self._report.parent.mkdir(parents=True, exist_ok=True)
        self._report.write_bytes(msgspec.json.format(data) + b"\n")

    def _table(self) -> Table:
        table = Table(box=SIMPLE_HEAD)
        for heading in ("row", "fault or input", "seen", "lost", "twice", "seconds", ""):
            right = heading in ("row", "lost", "twice", "seconds")
            table.add_column(heading, justify="right" if right else "left")
        for case in self._cases:
            result = self.results.get(case.number)
            if result is None:
                table.add_row(str(case.number), case.name, "", "", "", "", "not run")
            else:
                table.add_row(*_finished(result))
        return table

    def _tell(self, number: int, reasons: list[str]) -> None:
        self._console.print(f"[bold red]row {number} failed[/]; {folder_of(number)} has its logs")
        for reason in reasons:
            self._console.print(f"  · {reason}", markup=False, highlight=False)


def run_case(
    case: Case,
    folder: Path,
    *,
    quick: bool = False,
    ingest_module: str = "ingest",
    say: Callable[[str], None] = lambda _text: None,
) -> tuple[Trial, float]:
    """Run one case; return what came of it, and how many seconds it took.

    What it proved and saw stands in `folder` as well, beside the logs of its parts.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trial = Trial(folder=folder, quick=quick, ingest_module=ingest_module, say=say)
    began = time.monotonic()
    try:
        case.run(trial)
    except (StackError, StoreError, OSError) as error:
        trial.must(False, f"the case broke off: {error}")
    seconds = time.monotonic() - began
    (folder / "seen.txt").write_text(_seen(case, trial, seconds), encoding="utf-8")
    return trial, seconds


def folder_of(number: int) -> Path:
    """Return where a case leaves its logs and what it saw."""
    return FOLDER / f"row-{number:02d}"


def _seen(case: Case, trial: Trial, seconds: float) -> str:
    word = "passed" if trial.passed else "FAILED"
    lines = [f"row {case.number}, {case.name}: {word} in {seconds:.1f} s"]
    lines += [f"lost {trial.lost}, duplicated {trial.duplicated}"]
    for heading, seen in (("fault", trial.proofs), ("seen", trial.observations)):
        lines += [f"{'yes' if one.met else 'NO '}  {heading}: {one.text}" for one in seen]
    return "\n".join(lines) + "\n"


def _finished(result: Result) -> list[str | Text]:
    return [
        str(result.case),
        result.name,
        Text("yes") if result.fault_seen else Text("no", "bold red"),
        f"{result.lost:,}",
        f"{result.duplicated:,}",
        f"{result.seconds:.0f}",
        Text("passed", "green") if result.passed else Text("FAILED", "bold red"),
    ]
