"""A fleet whose readings go through a shared folder, into ingests that die, and what is stored."""

from pathlib import Path

from stack.local import LocalStack
from stack.services import Service
from stack.ways import Way
from tests.e2e.test_delivery import figure, settled_audit, silent_store
from tests.eventually import eventually

DEVICES = 60
RUN_SECONDS = 8


def started(local: LocalStack, name: str, way: Way) -> Service:
    return local.start_ingest(name, ways=[way])


def files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.ndjson"))


def test_an_ingest_killed_with_files_in_its_hand_loses_and_doubles_nothing(
    local: LocalStack,
) -> None:
    folder = local.folder / "shared"
    way = Way.folder(folder)
    first, second = (started(local, name, way) for name in ("ingest-1", "ingest-2"))
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS, way=way)
    for ingest in (first, second):
        eventually(lambda: figure(ingest, "written_readings") > 0, what="readings stored")  # noqa: B023
    with silent_store(local):
        eventually(lambda: files(folder / "claimed" / "ingest-1"), what="a file in its hand")
        eventually(lambda: figure(first, "in_flight_readings") > 0, what="readings held")
        first.kill()
    assert files(folder / "claimed" / "ingest-1")
    first.start()
    fleet.wait(RUN_SECONDS + 20)

    eventually(lambda: not files(folder), what="every file stored")

    report = settled_audit(local, first)
    assert report.promise_kept, report.findings
    for qos in (1, 2):
        assert report.by_qos[qos].offered == report.by_qos[qos].stored > 0


def test_while_nobody_empties_the_folder_devices_keep_their_readings(local: LocalStack) -> None:
    folder = local.folder / "shared"
    way = Way.folder(folder)
    limit = {"SENSORS_FOLDER_FILES": "3"}
    fleet = local.start_fleet(
        "demo", devices=DEVICES, qos="1", duration_seconds=4, way=way, settings=limit
    )
    eventually(
        lambda: figure(fleet, "outbox_readings", of="sensors") > DEVICES, what="readings kept"
    )
    assert len(files(folder)) == 3

    ingest = started(local, "ingest-1", way)
    fleet.wait(30)
    eventually(lambda: not files(folder), what="every file stored")

    report = settled_audit(local, ingest)
    assert report.promise_kept, report.findings
    assert report.by_qos[1].offered == report.by_qos[1].stored > 0
