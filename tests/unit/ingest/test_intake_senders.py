"""The intake takes from a sender what it may write, and tells where in a message the rest stood."""

import time
from pathlib import Path

import msgspec

from ingest.grant import Grant
from ingest.message import Message, Receipt
from telemetry.reading import Address
from tests.eventually import eventually_async
from tests.ingest_parts import TOPIC, Parts

NOW_MS = time.time_ns() // 1_000_000


def pack(*values: object) -> bytes:
    return msgspec.json.encode(
        [{"ts": NOW_MS + n, "values": {"a": v}} for n, v in enumerate(values)]
    )


async def rejected(parts: Parts, message: Message) -> list[tuple[int, str]]:
    """Return what of a message goes to quarantine, once all of it is settled."""
    receipt = message.receipt
    assert receipt is not None
    async with parts.working():
        parts.intake.accept(message)
        await eventually_async(lambda: receipt.pending == 0)
    return [(one.index, one.reason) for one in receipt.rejected]


def test_a_grant_names_devices_or_the_beginning_of_their_names() -> None:
    grant = Grant(("node-1", "hall-*"))

    assert grant.allows("node-1")
    assert grant.allows("hall-7")
    assert not grant.allows("node-11")
    assert not Grant(()).allows("node-1")
    assert Grant(("*",)).allows("node-1")


async def test_a_reading_of_another_senders_device_goes_to_quarantine(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    receipt = parts.receipts.owe(parts.receipt(1))
    message = Message(TOPIC, pack(1.0), 1, NOW_MS, receipt=receipt, grant=Grant(("node-2",)))

    assert await rejected(parts, message) == [(0, "the sender may not write for device node-1")]
    assert parts.tally.quarantined == 1
    assert parts.acknowledged == [1]


async def test_rejected_readings_are_named_by_their_place_in_the_message(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    receipt: Receipt = parts.receipts.owe(parts.receipt(1))
    body = msgspec.json.decode(pack(1.0, [], 2.0, 3.0))
    body[2]["ts"] = 0
    message = Message(
        None,
        msgspec.json.encode(body),
        1,
        NOW_MS,
        receipt=receipt,
        address=Address("jakarta", "node-1", "weather"),
    )

    found = await rejected(parts, message)

    assert [index for index, _ in found] == [1, 2]
    assert found[1][1] == "time 0 ms is out of range"
    assert sum(parts.tally.written) == 2
