"""Every store that there is, each fresh: the conformance suite runs on all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.store import Store
from telemetry.store.opening import open_store


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    assert request.param == "sqlite"
    opened = open_store(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()
