"""Which sources an ingest has: those that its settings switch on."""

from collections.abc import Iterator

from ingest.intake import Intake
from ingest.settings import IngestSettings
from ingest.sources import Source
from ingest.sources.mqtt.source import MqttSource
from ingest.tally import Tally
from telemetry.settings import Secret, SettingError
from telemetry.topics import TopicRouter

_OTHERS = (
    "INGEST_TCP_LISTEN, INGEST_UNIX_SOCKET, INGEST_UDP_LISTEN, INGEST_UNIXGRAM_SOCKET, "
    "INGEST_FOLDER, INGEST_DATABASE_URL, INGEST_INTAKE_LISTEN (HTTP)"
)


def open_sources(
    settings: IngestSettings,
    router: TopicRouter,
    intake: Intake,
    tally: Tally,
    *,
    leaving: bool = False,
) -> list[Source]:
    """Return the sources, not running yet; one that is `leaving` takes what is parked for it alone.

    Raises SettingError where none is switched on, or one cannot be as it is set.
    """
    sources: list[Source] = []
    if settings.mqtt:
        sources.append(MqttSource(settings, router, intake, tally, leaving=leaving))
    if not leaving:
        sources += _open_others(settings, intake, tally)
    if not sources and not leaving:
        raise SettingError(f"INGEST_MQTT=false: one of {_OTHERS} has to be set then")
    return sources


def _open_others(settings: IngestSettings, intake: Intake, tally: Tally) -> Iterator[Source]:
    # Each is imported where it is wanted: a start takes as long as what it imports.
    if settings.folder:
        from ingest.sources.folder.source import FolderSource

        yield FolderSource(settings, intake, tally)
    if any(
        (settings.tcp_listen, settings.unix_socket, settings.udp_listen, settings.unixgram_socket)
    ):
        from ingest.sources.socket_opening import open_socket_sources

        yield from open_socket_sources(settings, intake, tally)
    if settings.database_url is not None and settings.database_url.value:
        yield _open_database(settings, settings.database_url, intake, tally)
    if settings.intake_listen:
        from ingest.sources.http.opening import open_http_source

        yield open_http_source(settings, intake, tally)


def _open_database(settings: IngestSettings, url: Secret, intake: Intake, tally: Tally) -> Source:
    # Imported here: a database's client costs 40 MB, and is an extra of its own.
    try:
        from ingest.sources.database import DatabaseSource
    except ImportError as error:
        raise SettingError(f"INGEST_DATABASE_URL needs denyut[database]: {error}") from error
    return DatabaseSource(settings, url, intake, tally)
