"""What the routes work with, held by the application: settings, questions, states, figures."""

from collections.abc import Iterator, Mapping
from typing import cast

from flask import current_app
from msgspec import Struct

from api.access import Access
from api.cache import AnswerCache
from api.commands import Commands
from api.cors import Origins
from api.drain import Drain
from api.figures import Figures
from api.gaps import GapWatch
from api.live.streams import Streams
from api.problems import UnknownDevice
from api.questions import Questions
from api.readiness_log import ReadinessLog
from api.roster import Device, roster
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.health import Check
from telemetry.metrics import Sample

EXTENSION = "denyut"


class Room(Struct, frozen=True):
    """The parts of one application."""

    settings: ApiSettings
    questions: Questions
    board: StatusBoard
    figures: Figures
    cache: AnswerCache
    access: Access
    origins: Origins
    drain: Drain
    readiness_log: ReadinessLog
    gaps: GapWatch
    streams: Streams
    commands: Commands

    def devices(self) -> Mapping[str, Device]:
        """Return every known device by name, in order of names."""
        return self.questions.once(
            "devices", ask=lambda: roster(self.questions.series(), self.board.all())
        )

    def device(self, name: str) -> Device:
        """Return a device; UnknownDevice where nothing is known of it."""
        found = self.devices().get(name)
        if found is None:
            raise UnknownDevice(name[:64])
        return found

    def samples(self) -> Iterator[Sample]:
        """Return the API's own figures as they are now."""
        yield from self.figures.samples(self.cache, self.board)
        yield from self.gaps.samples()
        yield from self.streams.figures.samples()

    def checks(self) -> Mapping[str, Check]:
        """Return what readiness depends on, by name."""
        checks = {"store": self.questions.check, "broker": self.board.check}
        return {**checks, "service": self.drain.check} if self.drain.has_begun else checks


def room() -> Room:
    """Return the parts of the application at work."""
    return cast(Room, current_app.extensions[EXTENSION])
