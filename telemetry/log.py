"""Logging by consequence: WARNING nothing is lost, ERROR something is, or a person is needed.

A line is an event and its facts, ours and the libraries' in one form: Python's own logging, in JSON
or, for a person, in text (docs/decisions/0044).
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

from telemetry.settings import Settings

# Each says at INFO what matters to itself, watchfiles a line for each file.
_TALKATIVE = ("gmqtt", "aiohttp", "urllib3", "watchfiles")
_COLOURS = {"warning": "33", "error": "31", "critical": "31"}  # of a terminal: yellow and red

_bound: ContextVar[Mapping[str, object]] = ContextVar("what all lines tell here")


class Logger:
    """Logs events with their facts, under the name of a module.

    `exc_info` is none of the facts: an exception to be told with its traceback, or True for the one
    in hand.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **facts: object) -> None:
        """Log what helps to find a fault."""
        self._log(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Log what is worth knowing."""
        self._log(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Log what costs no reading."""
        self._log(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Log what costs readings, or needs a person."""
        self._log(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Log an error with the exception in hand."""
        self._log(logging.ERROR, event, {"exc_info": True, **facts})

    def _log(self, level: int, event: str, facts: dict[str, object]) -> None:
        failure = facts.pop("exc_info", None)
        told = failure if isinstance(failure, BaseException) else bool(failure)
        self._logger.log(level, event, exc_info=told, extra={"facts": facts})


class Lines(logging.Formatter):
    """What lines tell, those of libraries too; how they are written is the subclasses'."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def line(self, record: logging.LogRecord) -> dict[str, object]:
        """Return what a line tells, by name; a library's has no facts."""
        told: dict[str, object] = {
            **getattr(record, "facts", {}),
            **_bound.get({}),
            "event": record.getMessage(),
            "service": self._service,
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return told


class JsonLines(Lines):
    """Each line as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line; what JSON has no form for by its `repr`, in which no secret is."""
        return json.dumps(self.line(record), default=repr)


class TextLines(Lines):
    """Each line as text: when, how grave, what, and its facts; a traceback stands below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and its traceback in further ones."""
        told = self.line(record)
        when, level, event = (str(told.pop(name)) for name in ("timestamp", "level", "event"))
        traceback = told.pop("exception", None)
        facts = "".join(f" {name}={_shown(value)}" for name, value in told.items())
        grave = f"[{level:<8}]"
        if level in _COLOURS and sys.stderr.isatty():
            grave = f"\x1b[{_COLOURS[level]}m{grave}\x1b[0m"
        below = f"\n{traceback}" if traceback else ""
        return f"{when} {grave} {event:<30}{facts}{below}"


def configure(service: str, settings: Settings) -> None:
    """Send every line, ours and the libraries', to standard error in one form, named by service."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    handler = logging.StreamHandler(sys.stderr)
    lines = JsonLines if as_json else TextLines
    handler.setFormatter(lines(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def get(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


def bind(**facts: object) -> None:
    """Let all lines of this thread, or task, tell these facts from now on."""
    _bound.set({**_bound.get({}), **facts})


def unbind(name: str) -> None:
    """Let them no longer tell a fact."""
    _bound.set({key: value for key, value in _bound.get({}).items() if key != name})


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)
