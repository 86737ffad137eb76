"""The commands for a shared folder, and that an ingest that leaves releases what it had claimed."""

from collections import deque
from pathlib import Path

import pytest

from ingest.sources.folder.shared_folder import SharedFolder
from tests.integration.ingest.test_command_line import ingest


@pytest.fixture
def claimed(tmp_path: Path) -> Path:
    """A folder with a file that an ingest had claimed when it died, and one that waits."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("a", "b"):
        (shared / f"{name}.ndjson").write_text("line\n")
    (shared / "foreign").touch()
    gone = SharedFolder(shared, "ingest-2")
    gone.open()
    gone.claim(deque(["a.ndjson"]), 100)
    gone.close()
    return shared


def test_the_commands_tell_who_has_claimed_what_and_release_it(claimed: Path) -> None:
    listed = ingest("folder", "list", INGEST_FOLDER=str(claimed))
    released = ingest("folder", "release", "--client-id", "ingest-2", str(claimed))

    assert listed.stdout.splitlines() == [
        "1 files wait",
        "1 are left alone: name",
        "ingest-2 is away and has claimed 1 files",
    ]
    assert (released.stdout, released.stderr) == ("released 1 files\n", "")
    assert len(list(claimed.glob("*.ndjson"))) == 2


def test_an_ingest_without_mqtt_that_leaves_releases_its_claims(
    claimed: Path, tmp_path: Path
) -> None:
    left = ingest(
        "leave", "--client-id", "ingest-2",
        INGEST_MQTT="false",
        INGEST_FOLDER=str(claimed),
        INGEST_STORE_URL=f"sqlite:///{tmp_path}/store.db",
        INGEST_DATA_DIR=str(tmp_path / "data"),
    )  # fmt: skip

    assert (left.returncode, left.stderr) == (0, "")
    assert "released 1 claimed files" in left.stdout
    assert len(list(claimed.glob("*.ndjson"))) == 2
