"""What ingest's commands share: their settings, their folders, and how they fail in one line."""

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import uvloop

from ingest.service import IngestService
from ingest.settings import DEFAULT_DATA_DIR, IngestSettings
from ingest.sources.folder.holding import FolderInUse
from ingest.spool import SpoolInUse
from telemetry import log
from telemetry.settings import SettingError
from telemetry.topics import TopicError

Answer = TypeVar("Answer")


def load_settings(*, client_id: str | None = None) -> IngestSettings:
    """Return ingest's settings."""
    try:
        settings = IngestSettings.load(client_id=client_id)
    except SettingError as error:
        fail(str(error))
    log.configure("ingest", settings)
    return settings


def run_or_fail(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a command's work; what is wrong is one line and exit code 2."""
    try:
        return uvloop.run(work)
    except (SettingError, SpoolInUse, FolderInUse, OSError) as error:
        fail(str(error))
    except TopicError as error:
        fail(f"INGEST_TOPICS: {error}")


def serve() -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    run_or_fail(_serve(load_settings()))


# Parts of the service hold events of the running loop, so they are made inside it.
async def _serve(settings: IngestSettings) -> None:
    await IngestService(settings).serve()


def folder_or_default(given: Path | None, name: str) -> Path:
    """Return the folder that was given, else the one that the settings would name."""
    data = Path(os.environ.get("INGEST_DATA_DIR", DEFAULT_DATA_DIR))
    folder = given or Path(os.environ.get(f"INGEST_{name.upper()}_DIR") or data / name)
    if not folder.is_dir():
        fail(f"{folder}: no such folder")
    return folder


def fail(message: str) -> NoReturn:
    """Say what is wrong in one line, and exit with code 2."""
    print(f"ingest: {message}", file=sys.stderr)
    raise SystemExit(2)
