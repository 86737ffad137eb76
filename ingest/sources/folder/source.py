"""The way in by a shared folder: claims file after file while there is room, and removes them."""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from pathlib import Path

from ingest.intake import Intake
from ingest.settings import IngestSettings
from ingest.sources import WayName
from ingest.sources.folder.claimed_file import ClaimedFile
from ingest.sources.folder.claims_of_others import Claimant, claimants
from ingest.sources.folder.holding import FolderInUse
from ingest.sources.folder.noticing import Noticing
from ingest.sources.folder.reading import FileReading
from ingest.sources.folder.shared_folder import Seen, SharedFolder
from ingest.tally import Tally
from telemetry import log
from telemetry.rarelog import RareLog

_PIECE_BYTES = 262_144
_LINES_AT_ONCE = 100  # handed on before other work of the event loop has its turn
_KEPT_LINE_BYTES = 1_000_000  # of a line that is no payload any more
_MOST_NAMES = 10_000  # of one look, so that a folder of millions needs no memory
_MOST_IN_HAND = 2_000  # files that wait until their lines are durable, however small
_RETRY_SECONDS = 1.0
_CLAIMS_SECONDS = 60.0  # how often what could not be read or removed is tried again
_GOODBYE_SECONDS = 2.0
_logger = log.get(__name__)


class FolderSource:
    """Hands the lines of the folder's files to the intake; a file goes when all are durable."""

    def __init__(self, settings: IngestSettings, intake: Intake, tally: Tally) -> None:
        self._path = path = Path(settings.folder)
        self._intake = intake
        self._tally = tally
        self._longest_line_bytes = max(settings.payload_bytes, _KEPT_LINE_BYTES)
        self._folder = SharedFolder(path, settings.client_id)
        self._noticing = Noticing(path, settings.folder_poll_ms)
        self._running = asyncio.Event()
        self._running.set()
        self._in_hand: set[str] = set()
        self._has_hands = asyncio.Event()
        self._has_hands.set()
        self._durable: list[FileReading] = []
        self._has_durable = asyncio.Event()
        self._removing = asyncio.Lock()
        self._claims_due_s = 0.0
        self._troubles: dict[str, str] = {}
        self._foreign_files = 0
        self._rare_log = RareLog(_logger)
        self._problem: str | None = "not opened yet"

    @property
    def way(self) -> WayName:
        """Which way it is; of the Source protocol."""
        return "folder"

    @property
    def problem(self) -> str | None:
        """What is wrong; of the Source protocol."""
        return self._problem or next(iter(self._troubles.values()), None)

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run; of the Source protocol."""
        return {
            "folder": self.run(),
            "folder notices": self._noticing.run(),
            "folder removal": self._remove_durable(),
        }

    def pause(self) -> None:
        """Read no further; of the Source protocol."""
        self._running.clear()

    async def disconnect(self) -> None:
        """Remove what is durable, and let others claim what is not; of the Source protocol."""
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._remove()
                given = await asyncio.to_thread(self._folder.give_back)
        except (OSError, TimeoutError) as error:
            _logger.warning("claimed files stay claimed until the next start", why=str(error))
        else:
            if given:
                _logger.info("gave back files that were not stored yet", files=given)

    async def run(self) -> None:
        """Take files until cancelled; where the folder is away, until it is there again."""
        try:
            while True:
                try:
                    await self._use()
                except (OSError, FolderInUse) as error:
                    self._note(str(error))
                await asyncio.sleep(_RETRY_SECONDS)
        finally:
            self._folder.close()

    async def _use(self) -> None:
        await asyncio.to_thread(self._folder.open)
        self._claims_due_s = time.monotonic()
        while True:
            await self._take()

    async def _take(self) -> None:
        """Read what is there, or wait until something may be."""
        self._noticing.noticed.clear()
        if time.monotonic() >= self._claims_due_s:
            await self._read_claims()
        seen = await asyncio.to_thread(self._folder.look, _MOST_NAMES)
        self._note_seen(seen)
        names = deque(seen.names)
        came = False
        while names:
            await self._room()
            await self._has_hands.wait()
            files = await asyncio.to_thread(self._folder.claim, names, _PIECE_BYTES)
            await self._read_all(files)
            came = came or bool(files)
        if not came:
            await self._noticing.noticed.wait()

    async def _read_claims(self) -> None:
        """Take up what was claimed before, by an earlier process or without success."""
        self._troubles.clear()
        for claim in await asyncio.to_thread(self._folder.claims):
            if claim not in self._in_hand:
                await self._room()
                file = await asyncio.to_thread(self._folder.open_claim, claim, _PIECE_BYTES)
                await self._read_all([file] if file is not None else [])
        self._note_orphans(await asyncio.to_thread(list, claimants(self._path)))
        self._claims_due_s = time.monotonic() + _CLAIMS_SECONDS

    async def _read_all(self, files: list[ClaimedFile]) -> None:
        self._hold(file.claim for file in files)
        try:
            for file in files:
                await self._read(file)
        finally:
            for file in files:
                file.close()

    async def _read(self, file: ClaimedFile) -> None:
        reading = FileReading(
            file, self._intake, self._tally, self._longest_line_bytes, self._note_durable
        )
        piece = file.beginning
        while piece:
            for number, line in enumerate(reading.lines(piece)):
                if number % _LINES_AT_ONCE == 0:
                    await asyncio.sleep(0)
                if not self._has_room():
                    await self._room()
                reading.accept(line)
            piece = await asyncio.to_thread(file.read, _PIECE_BYTES) if file.is_open else b""
        if file.trouble is None:
            reading.end()
        else:
            reading.give_up()
            self._set_aside(file, file.trouble)

    def _note_durable(self, reading: FileReading) -> None:
        self._durable.append(reading)
        self._has_durable.set()

    async def _remove_durable(self) -> None:
        while True:
            await self._has_durable.wait()
            self._has_durable.clear()
            try:
                await self._remove()
            except OSError as error:
                # The reader finds out as well, and says it.
                _logger.info("files that are stored cannot be removed yet", why=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                self._has_durable.set()

    async def _remove(self) -> None:
        async with self._removing:
            readings = list(self._durable)
            files = [reading.file for reading in readings]
            grown = await asyncio.to_thread(self._folder.remove, files)
            del self._durable[: len(readings)]
            self._let_go(file.claim for file in files)
            self._tally.folder_files += len(files) - len(grown)
            for file in grown:
                self._set_aside(file, "it has grown since it was claimed")

    def _set_aside(self, file: ClaimedFile, why: str) -> None:
        """Leave a claimed file alone for a while: others go on."""
        self._let_go([file.claim])
        self._troubles[file.claim] = f"{file.claim}: {why}"
        self._rare_log.error("a claimed file is read again in a while", file=file.claim, why=why)

    def _hold(self, claims: Iterable[str]) -> None:
        self._in_hand.update(claims)
        if len(self._in_hand) >= _MOST_IN_HAND:
            self._has_hands.clear()

    def _let_go(self, claims: Iterable[str]) -> None:
        self._in_hand.difference_update(claims)
        if len(self._in_hand) < _MOST_IN_HAND:
            self._has_hands.set()

    def _has_room(self) -> bool:
        return self._running.is_set() and self._intake.has_room()

    async def _room(self) -> None:
        await self._running.wait()
        await self._intake.room()

    def _note_seen(self, seen: Seen) -> None:
        self._tally.folder_waiting_files = seen.waiting
        self._tally.folder_passed_over = dict(seen.passed_over)
        self._note("there is no space left in the folder" if seen.is_full else None)
        # What is being written is no news.
        foreign = sum(seen.passed_over.values()) - seen.passed_over["unfinished"]
        if foreign > self._foreign_files:
            self._rare_log.warning("files in the folder are left alone", **seen.passed_over)
        self._foreign_files = foreign

    def _note_orphans(self, found: list[Claimant]) -> None:
        """Name the ingests that are away, with files in their hands that nobody else may take."""
        away = {one.client_id: one.files for one in found if one.files and not one.runs}
        self._tally.folder_orphan_files = sum(away.values())
        if away:
            _logger.warning("ingests that are away have claimed files; release them", files=away)

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            _logger.warning("trouble with the shared folder", problem=problem)
        self._problem = problem
