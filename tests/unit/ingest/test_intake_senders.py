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


async def test_noise_is_not_multiplied_in_quarantine_and_all_of_it_is_counted(
    tmp_path: Path,
) -> None:
    parts = Parts(tmp_path)
    receipt = parts.receipts.owe(parts.receipt(1))
    noise = b"[" + b"1," * 30_000 + b"1]"
    found = await rejected(parts, Message(TOPIC, noise, 1, NOW_MS, receipt=receipt))

    kept = list(parts.quarantine.records())
    assert [one.index for one in kept] == list(range(21))
    assert "29981 more" in kept[-1].reason
    assert parts.tally.quarantined == receipt.readings == 30_001
    assert [index for index, _ in found] == list(range(500))
    assert receipt.unnamed == 29_501
    assert parts.acknowledged == [1]


async def test_what_the_store_refuses_is_named_by_its_place_as_well(tmp_path: Path) -> None:
    parts = Parts(tmp_path, spool_after_ms=3_600_000)
    parts.store.refuses = lambda reading: reading.values == {"a": 3.0}
    receipt = parts.receipts.owe(parts.receipt(1))
    message = Message(TOPIC, pack(1.0, [], 2.0, 3.0, 3.0), 1, NOW_MS, receipt=receipt)

    assert [index for index, _ in await rejected(parts, message)] == [1, 3, 4]
    assert receipt.readings == 5
    assert [one.index for one in parts.quarantine.records()] == [1, 3, 4]
