"""One reading on its way from a device to the broker."""

from msgspec import Struct


class Message(Struct, gc=False):
    """A reading as it is published.

    `due_ms` is the moment at which that was to happen, `session` the ledger's number of its boot.
    `number` grows over a device's readings: it is the journal's where there is one, else `seq`.
    A pack is several readings: it has the seq and the time of the last one, and `others` are the
    seqs of those before it.

    `faults` names the faults that had a part in it. What is `withheld` never leaves, what is
    `unwanted` ingest must refuse, what is `copied` leaves a second time, and `delay_ms` is by how
    much later it leaves. `sent_s` is when it left last; `time.monotonic`.
    """

    seq: int
    due_ms: int
    time_ms: int
    measurement: str
    topic: bytes
    payload: bytes
    session: int
    number: int
    sent: bool = False
    sent_s: float = 0.0
    faults: tuple[str, ...] = ()
    withheld: bool = False
    others: tuple[int, ...] = ()
    unwanted: bool = False
    copied: bool = False
    delay_ms: float = 0.0
