"""What a run leaves in its folder, and that nothing of an earlier run is taken for it."""

from pathlib import Path

from loadtest import LoadtestError
from telemetry.ledger import SUFFIX

VERDICT, PAGE = "verdict.json", "verdict.html"
MARKS = "annotations.json"
STEPS = "limit.json"
REPORT = "report.html"
LEDGERS = "ledger"
STATS = "stats"
"""How the names of Locust's tables begin."""


def clear_results(folder: Path) -> None:
    """Remove what an earlier run has left: one that fails has no verdict, not that one's."""
    found = [folder / name for name in (VERDICT, PAGE, MARKS, STEPS, REPORT, f"{STATS}.json")]
    found += [*folder.glob(f"{STATS}_*.csv"), *folder.glob(f"{LEDGERS}/*{SUFFIX}")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in found:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LoadtestError(
            f"LOADTEST_RESULTS_DIR={str(folder)!r}: {error.filename}: {error.strerror}"
        ) from error
