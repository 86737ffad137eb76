"""The ledger: what devices offered and what the broker acknowledged, for the audit to compare.

Append-only text that a person can read; a process has one file. Its lines:

    s ID QOS BOOT_MS SITE DEVICE      a session: one boot of a device, named ID below
    m ID NAME                         a measurement, named ID below
    o SESSION SEQ TIME_MS MEASUREMENT offered: written before the reading is published
    a SESSION SEQ                     acknowledged by the broker (QoS 1 and 2 only)
    r SESSION SEQ                     refused, by the broker or for its size
    d SESSION SEQ                     dropped by the device: no connection, or a full outbox
    f SESSION SEQ FAULT               a simulated fault had a part in the reading
    x SESSION SEQ                     made so that it must not be stored, by such a fault
    e SESSION TIME_MS FAULT           a simulated fault struck the device

A torn last line, as a killed process leaves it, is passed over. A process that publishes what an
earlier one left on disk opens that boot's session again and offers those readings again: each file
makes sense alone, and the sessions of one boot in several files are one.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from msgspec import Struct, field

SUFFIX = ".ledger"

OPEN, ACKNOWLEDGED, REFUSED, DROPPED = range(4)
"""What became of a reading; `OPEN` is neither of the others."""

_ENDS = {"a": ACKNOWLEDGED, "r": REFUSED, "d": DROPPED}


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

    def refused(self, session: int, seq: int) -> None:
        """Record that a reading was refused for good."""
        self._file.write(f"r {session} {seq}\n")

    def dropped(self, session: int, seq: int) -> None:
        """Record that the device gave a reading up."""
        self._file.write(f"d {session} {seq}\n")

    def fault(self, session: int, seq: int, name: str) -> None:
        """Record that a simulated fault had a part in a reading that was offered."""
        self._file.write(f"f {session} {seq} {name}\n")

    def unwanted(self, session: int, seq: int) -> None:
        """Record that ingest must refuse a reading that was offered."""
        self._file.write(f"x {session} {seq}\n")

    def struck(self, session: int, time_ms: int, name: str) -> None:
        """Record that a simulated fault struck a device."""
        self._file.write(f"e {session} {time_ms} {name}\n")

    def flush(self) -> None:
        """Hand everything recorded to the operating system, so that it survives this process."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()


class Session(Struct):
    """One boot of a device, as ledgers tell it; the arrays are indexed by sequence number.

    `times_ms[seq]` is -1 where the number was never offered; `ends[seq]` is what became of it.
    """

    site: str
    device: str
    boot_ms: int
    qos: int
    times_ms: "array[int]"
    measurements: "array[int]"
    ends: bytearray
    faults: dict[int, list[str]] = field(default_factory=dict)
    """By sequence number, the faults that had a part in a reading."""
    unwanted: set[int] = field(default_factory=set)
    """The sequence numbers of readings that must not be stored."""
    strikes: dict[str, int] = field(default_factory=dict)
    """How often each fault struck the device."""

    def offer(self, seq: int, time_ms: int, measurement: int) -> None:
        """Note an offered reading."""
        missing = seq + 1 - len(self.times_ms)
        if missing > 0:
            self.times_ms.extend([-1] * missing)
            self.measurements.extend([0] * missing)
            self.ends.extend(bytes(missing))
        self.times_ms[seq] = time_ms
        self.measurements[seq] = measurement

    def befell(self, seq: int, fault: str) -> None:
        """Note that a fault had a part in a reading."""
        if self.times_ms[seq] < 0:
            raise ValueError(seq)
        names = self.faults.setdefault(seq, [])
        if fault not in names:
            names.append(fault)

    def end(self, seq: int, end: int) -> None:
        """Note what became of a reading; what was once acknowledged stays so."""
        if self.times_ms[seq] < 0:
            raise ValueError(seq)
        if self.ends[seq] != ACKNOWLEDGED:
            self.ends[seq] = end


class Ledger(Struct):
    """All that a fleet offered, from one or several processes' files."""

    sessions: list[Session]
    measurements: list[str]

    def name_of(self, number: int) -> str:
        """Return the measurement that `Session.measurements` gives by number."""
        return self.measurements[number]


def read_ledger(paths: list[Path]) -> Ledger:
    """Read the ledgers of a fleet; a folder stands for the ledgers in it."""
    reader = _Reader()
    for path in _files(paths):
        reader.read(path)
    return reader.ledger


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]


class _Reader:
    """Reads one file after another into one ledger."""

    def __init__(self) -> None:
        self.ledger = Ledger([], [])
        self._boots: dict[tuple[str, int], Session] = {}
        # Numbers of sessions and measurements hold for one file.
        self._sessions: dict[str, Session] = {}
        self._measurements: dict[str, int] = {}

    def read(self, path: Path) -> None:
        self._sessions, self._measurements = {}, {}
        with path.open(encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith("\n"):
                    return
                try:
                    self._read_line(line.split())
                except (ValueError, KeyError, IndexError) as error:
                    raise LedgerError(
                        f"{path}:{number}: not a line of a ledger: {line.rstrip()!r}"
                    ) from error

    def _read_line(self, words: list[str]) -> None:
        match words:
            case ["o", session, seq, time_ms, measurement]:
                offered = self._measurements[measurement]
                self._sessions[session].offer(int(seq), int(time_ms), offered)
            case ["a" | "r" | "d" as end, session, seq]:
                self._sessions[session].end(int(seq), _ENDS[end])
            case ["f", session, seq, name]:
                self._sessions[session].befell(int(seq), name)
            case ["x", session, seq]:
                self._sessions[session].unwanted.add(int(seq))
            case ["e", session, _time_ms, name]:
                strikes = self._sessions[session].strikes
                strikes[name] = strikes.get(name, 0) + 1
            case ["s", number, qos, boot_ms, site, device]:
                self._sessions[number] = self._session(site, device, int(boot_ms), int(qos))
            case ["m", number, name]:
                self._measurements[number] = self._measurement(name)
            case _:
                raise ValueError(words)

    def _session(self, site: str, device: str, boot_ms: int, qos: int) -> Session:
        known = self._boots.get((device, boot_ms))
        if known is None:
            known = Session(site, device, boot_ms, qos, array("q"), array("H"), bytearray())
            self._boots[device, boot_ms] = known
            self.ledger.sessions.append(known)
        elif (known.site, known.qos) != (site, qos):
            raise ValueError("one boot at two sites or two levels")
        return known

    def _measurement(self, name: str) -> int:
        names = self.ledger.measurements
        if name not in names:
            names.append(name)
        return names.index(name)
