"""The ledger: what devices offered and what the broker acknowledged, for the audit to compare.

Append-only text that a person can read; a process has one file. Its lines:

    s ID QOS BOOT_MS SITE DEVICE      a session: one boot of a device, named ID below
    m ID NAME                         a measurement, named ID below
    o SESSION SEQ TIME_MS MEASUREMENT offered: written before the reading is published
    a SESSION SEQ                     acknowledged by the broker (QoS 1 and 2 only)

A torn last line, as a killed process leaves it, is passed over.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from msgspec import Struct

SUFFIX = ".ledger"


class LedgerError(Exception):
    """Raised when a line of a ledger makes no sense; names the file and the line."""


class LedgerWriter:
    """Writes one process's ledger; `flush` before publishing what was offered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A large buffer: one write a tick, not one a reading.
        self._file: TextIO = path.open("x", encoding="ascii", buffering=1 << 18)
        self._sessions = 0
        self._measurements: dict[str, int] = {}

    def open_session(self, *, site: str, device: str, boot_ms: int, qos: int) -> int:
        """Record a device's start; return the session that its readings name."""
        self._sessions += 1
        self._file.write(f"s {self._sessions} {qos} {boot_ms} {site} {device}\n")
        return self._sessions

    def offered(self, session: int, seq: int, time_ms: int, measurement: str) -> None:
        """Record a reading that is about to be published."""
        number = self._measurements.get(measurement)
        if number is None:
            number = self._measurements[measurement] = len(self._measurements) + 1
            self._file.write(f"m {number} {measurement}\n")
        self._file.write(f"o {session} {seq} {time_ms} {number}\n")

    def acknowledged(self, session: int, seq: int) -> None:
        """Record that the broker has taken responsibility for a reading."""
        self._file.write(f"a {session} {seq}\n")

    def flush(self) -> None:
        """Hand everything recorded to the operating system, so that it survives this process."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()


class Session(Struct, gc=False):
    """One boot of a device, as its ledger tells it; the arrays are indexed by sequence number.

    `times_ms[seq]` is -1 where the number was never offered; `acknowledged[seq]` is 0 or 1.
    """

    site: str
    device: str
    boot_ms: int
    qos: int
    times_ms: "array[int]"
    measurements: "array[int]"
    acknowledged: bytearray

    def offer(self, seq: int, time_ms: int, measurement: int) -> None:
        """Note an offered reading."""
        missing = seq + 1 - len(self.times_ms)
        if missing > 0:
            self.times_ms.extend([-1] * missing)
            self.measurements.extend([0] * missing)
            self.acknowledged.extend(bytes(missing))
        self.times_ms[seq] = time_ms
        self.measurements[seq] = measurement


class Ledger(Struct):
    """All that a fleet offered, from one or several processes' files."""

    sessions: list[Session]
    measurements: list[str]

    def name_of(self, number: int) -> str:
        """Return the measurement that `Session.measurements` gives by number."""
        return self.measurements[number]


def read_ledger(paths: list[Path]) -> Ledger:
    """Read the ledgers of a fleet; a folder stands for the ledgers in it."""
    ledger = Ledger([], [])
    for path in _files(paths):
        _read_file(path, ledger)
    return ledger


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]


def _read_file(path: Path, ledger: Ledger) -> None:
    sessions: dict[str, Session] = {}
    measurements: dict[str, int] = {}
    with path.open(encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                _read_line(line.split(), sessions, measurements, ledger)
            except (ValueError, KeyError, IndexError) as error:
                raise LedgerError(
                    f"{path}:{number}: not a line of a ledger: {line.rstrip()!r}"
                ) from error


def _read_line(
    words: list[str], sessions: dict[str, Session], measurements: dict[str, int], ledger: Ledger
) -> None:
    match words:
        case ["o", session, seq, time_ms, measurement]:
            sessions[session].offer(int(seq), int(time_ms), measurements[measurement])
        case ["a", session, seq]:
            sessions[session].acknowledged[int(seq)] = 1
        case ["s", session, qos, boot_ms, site, device]:
            opened = Session(
                site, device, int(boot_ms), int(qos), array("q"), array("H"), bytearray()
            )
            sessions[session] = opened
            ledger.sessions.append(opened)
        case ["m", measurement, name]:
            if name not in ledger.measurements:
                ledger.measurements.append(name)
            measurements[measurement] = ledger.measurements.index(name)
        case _:
            raise ValueError(words)
