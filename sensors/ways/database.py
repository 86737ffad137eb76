"""The way by database records: a batch of all devices is rows of the inbox, safe once committed.

From the commit on the database answers for them, and ingest takes them when it can.
"""

from collections.abc import Callable, Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED, Answer, Bounds, Lost
from sensors.ways.failures import (
    ConnectFailed,
    ConnectionLost,
    FailureReason,
    NotNow,
    Refused,
    WayFailure,
)
from telemetry.blocking import in_daemon_thread
from telemetry.inbox import NotText, check_sender, in_words, insert_payloads, open_engine

# https://www.postgresql.org/docs/current/errcodes-appendix.html: no rights, no such thing.
_NEEDS_PERSON_STATES = ("28", "3D", "42")
# Of a connection that does not come about the driver tells only what the server said.
_NEEDS_PERSON_WORDS = ("authentication failed", "does not exist", "permission denied", "no such")
_UNTRUSTED_WORDS = ("certificate", "SSL was required")
# Locked for too long, asked for too much, no disk or memory left: it may be better later.
_NOT_NOW_STATES = ("53", "55P03", "57014")
_NOT_NOW_NAMES = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")
# One transaction at a time keeps the order; the next batch gathers while it is synced.
_BOUNDS = Bounds(
    batch_payloads=2_000, batch_bytes=1_000_000, batches_in_flight=1, gather_seconds=0.02
)


def database_channel(settings: SensorsSettings) -> Callable[[], "DatabaseChannel"]:
    """Return what makes a process's channel. Raises SettingError where the address is none."""
    assert settings.database_url is not None, "checked before (sensors/ways/checking.py)"
    engine = open_engine(
        settings.database_url,
        "SENSORS_DATABASE_URL",
        connections=1,
        timeout_seconds=settings.connect_timeout_seconds,
        name=f"denyut {settings.client_id}",
    )
    return partial(DatabaseChannel, engine)


class DatabaseChannel:
    """A sender's connection to the inbox."""

    bounds = _BOUNDS

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    async def open(self, _lost: Lost) -> None:
        """See whether rows can be left there; of the Channel protocol."""
        try:
            await in_daemon_thread(partial(check_sender, self._engine))
        except SQLAlchemyError as error:
            raise ConnectFailed(_reason(error), in_words(error)) from error

    async def send(self, payloads: Sequence[bytes]) -> Answer:
        """Leave a batch in one transaction; of the Channel protocol."""
        try:
            await in_daemon_thread(partial(insert_payloads, self._engine, payloads))
        except NotText as error:
            raise Refused(str(error), error.place) from error
        except SQLAlchemyError as error:
            raise _failure(error) from error
        return ALL_STORED

    async def close(self) -> None:
        """Close the connection; of the Channel protocol."""
        await in_daemon_thread(self._engine.dispose)

    def abort(self) -> None:
        """Do nothing: a transaction that has begun is committed or never seen."""


def _reason(error: SQLAlchemyError) -> FailureReason:
    said = in_words(error)
    if any(words in said for words in _UNTRUSTED_WORDS):
        return "untrusted"
    if _state(error).startswith(_NEEDS_PERSON_STATES):
        return "refused"
    return "refused" if any(words in said for words in _NEEDS_PERSON_WORDS) else "unreachable"


def _failure(error: SQLAlchemyError) -> WayFailure:
    said = in_words(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ConnectionLost(said)
    name = str(getattr(_told(error), "sqlite_errorname", ""))
    if _state(error).startswith(_NOT_NOW_STATES) or name.startswith(_NOT_NOW_NAMES):
        return NotNow(said)
    reason = _reason(error)
    return ConnectionLost(said) if reason == "unreachable" else ConnectFailed(reason, said)


def _state(error: SQLAlchemyError) -> str:
    return getattr(_told(error), "sqlstate", None) or ""


def _told(error: SQLAlchemyError) -> BaseException | None:
    """Return what the driver raised."""
    return error.orig if isinstance(error, DBAPIError) else None
