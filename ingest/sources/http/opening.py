"""The HTTP source as the settings want it."""

import socket
from pathlib import Path

from ingest.intake import Intake
from ingest.settings import IngestSettings
from ingest.sources.http.receiving import Limits, Receiving
from ingest.sources.http.source import HttpSource
from ingest.sources.keys import SenderKeys
from ingest.sources.listening import NetworkPlace, warn_of_plaintext
from ingest.tally import Tally
from telemetry import tls
from telemetry.descriptors import allowed_connections
from telemetry.settings import SettingError


def open_http_source(settings: IngestSettings, intake: Intake, tally: Tally) -> HttpSource:
    """Return the source, not listening yet; SettingError where it cannot be."""
    if not settings.keys_file:
        raise SettingError(
            f"INGEST_INTAKE_LISTEN={settings.intake_listen!r}: INGEST_KEYS_FILE is not set as well,"
            " which says who may send"
        )
    limits = Limits(
        requests=settings.intake_requests,
        body_bytes=settings.intake_body_bytes,
        payload_bytes=settings.payload_bytes,
        held_bytes=settings.held_bytes,
        body_seconds=settings.intake_body_seconds,
        durable_seconds=settings.intake_durable_seconds,
    )
    keys = SenderKeys(Path(settings.keys_file))
    certificate, key = settings.intake_certificate_file, settings.intake_key_file
    context = tls.server_context("INGEST_INTAKE", certificate, key)
    place = NetworkPlace.parse("INGEST_INTAKE_LISTEN", settings.intake_listen, socket.SOCK_STREAM)
    if context is None:
        warn_of_plaintext(place, "INGEST_INTAKE")
    return HttpSource(
        place,
        context,
        Receiving(limits, keys, intake, tally),
        tally,
        most_connections=allowed_connections(settings.intake_connections),
        idle_seconds=settings.intake_idle_seconds,
    )
