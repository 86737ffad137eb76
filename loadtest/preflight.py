"""One request before a run: each thing that would fail every request is one clear line instead."""

import http.client
import ssl

from loadtest import LoadtestError
from loadtest.asking import Asker, api_context
from loadtest.settings import LoadtestSettings
from telemetry.tls import client_context

_PATH = "/v1/devices?limit=1"
_REFUSED = (http.client.UNAUTHORIZED, http.client.FORBIDDEN)


def check_target(settings: LoadtestSettings) -> None:
    """Raise LoadtestError where the API does not answer, is not trusted, or does not know us."""
    asked = f"LOADTEST_TARGET={settings.target!r}"
    try:
        status = _status(settings)
    except ssl.SSLCertVerificationError as error:
        raise LoadtestError(
            f"{asked}: its certificate is not trusted: {error.verify_message}; "
            "LOADTEST_CA_FILE names the authority"
        ) from error
    except ssl.SSLError as error:
        raise LoadtestError(f"{asked}: no TLS: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise LoadtestError(f"{asked}: does not answer: {error}") from error
    if status in _REFUSED:
        raise LoadtestError(
            f"{asked} says {status}: LOADTEST_API_KEY_FILE names the file of a key that may read"
        )
    if status != http.client.OK:
        raise LoadtestError(f"{asked}: {_PATH} says {status}")


def check_settings(settings: LoadtestSettings) -> None:
    """Raise LoadtestError or SettingError where settings do not go together, or a file is wrong."""
    if not settings.users:
        raise LoadtestError(
            "LOADTEST_READERS, LOADTEST_STREAMS, LOADTEST_PUBLISHERS and LOADTEST_FRESHNESS are 0: "
            "there is nobody to make any load"
        )
    if settings.shape == "limit" and not settings.publishers + settings.readers:
        raise LoadtestError(
            "LOADTEST_SHAPE='limit' raises LOADTEST_PUBLISHERS or LOADTEST_READERS, and both are 0"
        )
    if settings.publishers + settings.freshness and settings.fleet_key is None:
        raise LoadtestError(
            "LOADTEST_FLEET_KEY_FILE is not set: publishers derive their passwords from that key"
        )
    client_context(settings)
    try:
        api_context(settings)
    except OSError as error:  # an SSLError is one as well
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "no certificate in PEM"
        raise LoadtestError(f"LOADTEST_CA_FILE={settings.ca_file!r}: {reason}") from error


def _status(settings: LoadtestSettings) -> int:
    asker = Asker(settings)
    try:
        return asker.get(_PATH)[0]
    finally:
        asker.close()
