"""Where a run's ledger is kept, or that none is."""

from pathlib import Path

from telemetry.ledger import SUFFIX, LedgerWriter


class NoLedger:
    """Stands in for a ledger where nobody is going to audit the run."""

    def open_session(self, *, site: str, device: str, boot_ms: int, qos: int) -> int:  # noqa: ARG002
        """Return a session that means nothing."""
        return 0

    def offered(self, session: int, seq: int, time_ms: int, measurement: str) -> None:
        """Record nothing."""

    def acknowledged(self, session: int, seq: int) -> None:
        """Record nothing."""

    def refused(self, session: int, seq: int) -> None:
        """Record nothing."""

    def dropped(self, session: int, seq: int) -> None:
        """Record nothing."""

    def fault(self, session: int, seq: int, name: str) -> None:
        """Record nothing."""

    def unwanted(self, session: int, seq: int) -> None:
        """Record nothing."""

    def struck(self, session: int, time_ms: int, name: str) -> None:
        """Record nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


AnyLedger = LedgerWriter | NoLedger


def open_ledger(folder: str | None, client_id: str, boot_ms: int) -> AnyLedger:
    """Open this run's own file in the folder, named by process and start; OSError if refused."""
    if not folder:
        return NoLedger()
    return LedgerWriter(Path(folder) / f"{client_id}-{boot_ms}{SUFFIX}")
