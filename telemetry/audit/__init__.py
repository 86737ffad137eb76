"""The audit: what devices offered and the broker acknowledged, held against what is stored.

The ledger and the store are compared reading by reading, by (device, boot, seq). A reading is

- lost: acknowledged and not stored; at QoS 0, offered and not stored
- phantom: stored and never offered
- duplicated: stored at two times or under two measurements
- moved: stored once, at another time or under another measurement than it was offered
- overwritten: not stored because another reading stands at its series and time

Where simulated faults had a part, the ledger says so, and what they explain is no finding: a
reading that had to be refused and was, one that never left its device, one whose place another took
because a clock had jumped. Each kind of fault has its own counts.

What was offered and not acknowledged is no loss, and is not passed over either: a reading was
refused, or dropped by its device, or is unfinished, still in an outbox or gone with its process.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, field

from telemetry.latency import LatencySummary
from telemetry.ledger import ACKNOWLEDGED, DROPPED, REFUSED, Ledger, Session
from telemetry.store import StoredSequence

FindingKind = Literal["lost", "phantom", "duplicated", "moved", "overwritten"]
QOS_LEVELS = (0, 1, 2)

CLOCK_FAULTS = frozenset({"clock-jump", "clock-skew"})
"""The simulated faults under which one reading may take another one's time."""

# So many are named, broken promises first; all are counted.
NAMED_FINDINGS = 100_000
NAMED_LOSSES_AT_QOS_0 = 1_000

_Slot = tuple[str, str, int]
_NO_LATENCY = LatencySummary(None, None, None)


class Finding(Struct, frozen=True):
    """One reading that is not as it should be."""

    kind: FindingKind
    qos: int | None
    device: str
    boot_ms: int
    seq: int
    measurement: str
    time_ms: int


class QosReport(Struct):
    """The counts of one QoS level, in readings.

    Every offered one is acknowledged, refused, dropped or unfinished. At QoS 0 nothing answers:
    `acknowledged` and `unfinished` are None.
    """

    offered: int = 0
    acknowledged: int | None = 0
    refused: int = 0
    dropped: int = 0
    unfinished: int | None = 0
    stored: int = 0
    lost: int = 0
    phantom: int = 0
    duplicated: int = 0
    moved: int = 0
    overwritten: int = 0
    latency_ms: LatencySummary = _NO_LATENCY

    def count(self, kind: FindingKind) -> None:
        """Add one finding."""
        setattr(self, kind, getattr(self, kind) + 1)


class FaultReport(Struct):
    """What one kind of simulated fault did, and how it was met.

    Of the readings that it had a part in, `stored` are in the store, `withheld` never left, and
    `kept_out` had to be refused and were. `overwritten` ones lost their place because of it.
    """

    strikes: int = 0
    readings: int = 0
    stored: int = 0
    withheld: int = 0
    kept_out: int = 0
    overwritten: int = 0


class AuditReport(Struct):
    """What the audit found, by QoS level, and the first findings by name."""

    by_qos: dict[int, QosReport]
    unknown: QosReport
    """Readings of devices that are in no ledger: phantoms of an unknown level."""
    findings: list[Finding] = field(default_factory=list)
    faults: dict[str, FaultReport] = field(default_factory=dict)
    """By kind of fault; empty where the fleet had none."""

    @property
    def promise_kept(self) -> bool:
        """Whether nothing promised at QoS 1 or 2 is missing, and nothing is stored falsely."""
        missing = any(self.by_qos[qos].lost or self.by_qos[qos].overwritten for qos in (1, 2))
        levels = [*self.by_qos.values(), self.unknown]
        return not missing and not any(
            level.phantom or level.duplicated or level.moved for level in levels
        )


def audit(ledger: Ledger, stored: Iterable[StoredSequence]) -> AuditReport:
    """Compare a ledger with the stored side."""
    comparison = _Comparison(ledger)
    for sequence in stored:
        comparison.see(sequence)
    return comparison.report()


class _Comparison:
    """Marks each offered reading that is seen in the store, and keeps what does not fit."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sessions = {(one.device, one.boot_ms): one for one in ledger.sessions}
        self._seen = {key: bytearray(len(one.times_ms)) for key, one in self._sessions.items()}
        # Where a reading stands that was not offered there, with its (boot, seq).
        self._misplaced: dict[tuple[str, int, int], list[StoredSequence]] = {}
        self._report = AuditReport({level: QosReport() for level in QOS_LEVELS}, QosReport())
        self._report.by_qos[0].acknowledged = self._report.by_qos[0].unfinished = None
        self._clock_slots = dict(_clock_slots(ledger))
        self._broken: list[Finding] = []
        self._allowed: list[Finding] = []

    def see(self, stored: StoredSequence) -> None:
        """Take in one stored reading."""
        key = (stored.device, stored.boot_ms)
        session = self._sessions.get(key)
        if session is None or not _offered(session, stored.seq) or stored.seq in session.unwanted:
            self._find("phantom", session, stored)
        elif self._in_place(session, stored):
            self._seen[key][stored.seq] = 1
        else:
            self._misplaced.setdefault((*key, stored.seq), []).append(stored)

    def report(self) -> AuditReport:
        """Settle what was misplaced or is missing, and return the whole."""
        for (device, boot_ms, seq), places in self._misplaced.items():
            in_place = self._seen[device, boot_ms][seq]
            kind: FindingKind = "duplicated" if in_place or len(places) > 1 else "moved"
            self._find(kind, self._sessions[device, boot_ms], places[0])
            self._seen[device, boot_ms][seq] = 1
        taken = self._taken_slots()
        for key, session in self._sessions.items():
            self._settle(session, self._seen[key], taken)
            self._count_faults(session, self._seen[key])
        self._report.findings = self._broken + self._allowed
        return self._report

    def _in_place(self, session: Session, stored: StoredSequence) -> bool:
        name = self._ledger.name_of(session.measurements[stored.seq])
        offered = (session.times_ms[stored.seq], name, session.site)
        return offered == (stored.time_ms, stored.measurement, stored.site)

    def _taken_slots(self) -> set[_Slot]:
        """The series and times that hold another reading than was offered there."""
        slots = {
            (place.device, place.measurement, place.time_ms)
            for places in self._misplaced.values()
            for place in places
        }
        return slots | set(self._slots_offered_twice())

    def _slots_offered_twice(self) -> Iterator[_Slot]:
        for session in self._sessions.values():
            slots: set[tuple[int, int]] = set()
            for slot in zip(session.measurements, session.times_ms, strict=True):
                if slot in slots:
                    yield session.device, self._ledger.name_of(slot[0]), slot[1]
                slots.add(slot)

    def _settle(self, session: Session, seen: bytearray, taken: set[_Slot]) -> None:
        level = self._report.by_qos[session.qos]
        offered = sum(time_ms >= 0 for time_ms in session.times_ms)
        level.offered += offered
        level.stored += sum(seen)
        _count_ends(level, session, offered)
        if sum(seen) == offered:
            return
        for seq in range(len(seen)):
            if _offered(session, seq) and not seen[seq]:
                self._settle_missing(session, seq, taken)

    def _settle_missing(self, session: Session, seq: int, taken: set[_Slot]) -> None:
        name = self._ledger.name_of(session.measurements[seq])
        slot = (session.device, name, session.times_ms[seq])
        if self._is_meant(session, seq, slot, taken):
            return
        missing = StoredSequence(session.site, *slot, session.boot_ms, seq)
        if slot in taken:
            self._find("overwritten", session, missing)
        elif session.qos == 0 or session.ends[seq] == ACKNOWLEDGED:
            self._find("lost", session, missing)

    def _is_meant(self, session: Session, seq: int, slot: _Slot, taken: set[_Slot]) -> bool:
        """Tell whether a fault explains that a reading is missing."""
        if seq in session.unwanted or (seq in session.faults and session.ends[seq] == DROPPED):
            return True
        clock = self._clock_slots.get(slot)
        if slot not in taken or clock is None:
            return False
        self._fault(clock).overwritten += 1
        return True

    def _count_faults(self, session: Session, seen: bytearray) -> None:
        for name, count in session.strikes.items():
            self._fault(name).strikes += count
        for seq, names in session.faults.items():
            for name in names:
                report = self._fault(name)
                report.readings += 1
                report.stored += seen[seq]
                report.withheld += session.ends[seq] == DROPPED and not seen[seq]
                report.kept_out += seq in session.unwanted and not seen[seq]

    def _fault(self, name: str) -> FaultReport:
        return self._report.faults.setdefault(name, FaultReport())

    def _find(self, kind: FindingKind, session: Session | None, place: StoredSequence) -> None:
        level = self._report.unknown if session is None else self._report.by_qos[session.qos]
        level.count(kind)
        qos = None if session is None else session.qos
        is_allowed = kind == "lost" and qos == 0
        named = self._allowed if is_allowed else self._broken
        if len(named) < (NAMED_LOSSES_AT_QOS_0 if is_allowed else NAMED_FINDINGS):
            identity = (place.device, place.boot_ms, place.seq, place.measurement, place.time_ms)
            named.append(Finding(kind, qos, *identity))


def _clock_slots(ledger: Ledger) -> Iterator[tuple[_Slot, str]]:
    """Yield where a wrong clock put readings, with the fault that it was."""
    for session in ledger.sessions:
        for seq, names in session.faults.items():
            for name in names:
                if name in CLOCK_FAULTS:
                    measurement = ledger.name_of(session.measurements[seq])
                    yield (session.device, measurement, session.times_ms[seq]), name


def _count_ends(level: QosReport, session: Session, offered: int) -> None:
    acknowledged, refused, dropped = (
        session.ends.count(end) for end in (ACKNOWLEDGED, REFUSED, DROPPED)
    )
    level.refused += refused
    level.dropped += dropped
    if level.acknowledged is not None and level.unfinished is not None:
        level.acknowledged += acknowledged
        level.unfinished += offered - acknowledged - refused - dropped


def _offered(session: Session, seq: int) -> bool:
    return seq < len(session.times_ms) and session.times_ms[seq] >= 0
