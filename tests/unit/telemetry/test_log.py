"""The log: what is in it, and what is left out."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from telemetry import log
from telemetry.settings import Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_library_that_tells_of_each_file_or_request_is_not_heard(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("ingest", Settings.load({}, log_level=level, log_format="json"))

    logging.getLogger("watchfiles.main").info("3 changes detected")
    logging.getLogger("watchfiles.main").warning("a folder cannot be watched")
    logging.getLogger("ours").info("a line")

    said = capsys.readouterr().err
    assert "changes" not in said
    assert "cannot be watched" in said
    assert "a line" in said
