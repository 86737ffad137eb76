"""The audit of a load test: its own ledger against what the API says is stored.

From outside, as the people do who read: what the API does not give back is lost to them.
"""

import http.client
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from loadtest.asking import Asker
from telemetry.audit import audit
from telemetry.ledger import Ledger, Session
from telemetry.store import StoredSequence

_PAGE = 5_000
_BEFORE_MS = 1_000
_LOOK_SECONDS = 1.0


class AuditFailed(Exception):
    """Raised when the API does not answer, or could not be asked for all in time."""


class Counted(Struct, frozen=True):
    """What became of the acknowledged readings of one process; `why` where it is not known."""

    offered: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    why: str = ""


class StoredReading(Struct):
    """A reading of an answer."""

    time: datetime
    site: str
    device: str
    measurement: str
    boot: datetime | None
    seq: int | None


class Page(Struct):
    """An answer of the API; `next` is where there is more."""

    readings: list[StoredReading]
    next: str | None = None


def audit_through(
    asker: Asker,
    ledger: Ledger,
    deadline_s: float,
    sleep: Callable[[float], object] = time.sleep,
) -> Counted:
    """Compare, and look again for what is on its way, until all is there or the deadline."""
    found: list[Counted] = []
    for session in ledger.sessions:
        try:
            one = _settled(asker, Ledger([session], ledger.measurements), deadline_s, sleep)
        except (AuditFailed, OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            one = Counted(why=f"{session.device}: {error}")
        found.append(one)
        if one.why:
            break
    return add(found)


def add(counts: Iterable[Counted]) -> Counted:
    """Return the sum, of which nothing is known where one of them is not."""
    found = list(counts)
    return Counted(
        sum(one.offered for one in found),
        sum(one.acknowledged for one in found),
        sum(one.lost for one in found),
        sum(one.duplicated for one in found),
        next((one.why for one in found if one.why), ""),
    )


def _settled(
    asker: Asker, ledger: Ledger, deadline_s: float, sleep: Callable[[float], object]
) -> Counted:
    while True:
        counted = _counted(asker, ledger, deadline_s)
        if not counted.lost or time.monotonic() + _LOOK_SECONDS > deadline_s:
            return counted
        sleep(_LOOK_SECONDS)


def _counted(asker: Asker, ledger: Ledger, deadline_s: float) -> Counted:
    session = ledger.sessions[0]
    stored = [one for one in _stored(asker, session, deadline_s) if one.boot_ms == session.boot_ms]
    report = audit(ledger, stored)
    level = report.by_qos[session.qos]
    # What QoS 0 loses is allowed.
    lost = level.lost + level.overwritten if session.qos else 0
    return Counted(level.offered, level.acknowledged or 0, lost, level.duplicated + level.phantom)


def _stored(asker: Asker, session: Session, deadline_s: float) -> Iterator[StoredSequence]:
    """Yield what the API has of a device since it booted."""
    path: str | None = f"/v1/devices/{session.device}/readings?" + urlencode(
        {"start": session.boot_ms - _BEFORE_MS, "limit": _PAGE}
    )
    while path is not None:
        if time.monotonic() > deadline_s:
            raise AuditFailed("could not be asked for everything in time")
        status, body = asker.get(path)
        if status == http.client.NOT_FOUND:
            return
        if status != http.client.OK:
            raise AuditFailed(f"the API says {status}")
        page = msgspec.json.decode(body, type=Page)
        yield from (sequence for one in page.readings if (sequence := _sequence(one)))
        path = page.next


def _sequence(one: StoredReading) -> StoredSequence | None:
    if one.boot is None or one.seq is None:
        return None
    return StoredSequence(
        one.site, one.device, one.measurement, _ms(one.time), _ms(one.boot), one.seq
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
