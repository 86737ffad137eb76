"""One request before a run: each thing that would fail every request is one clear line instead."""

import http.client
import ssl
from urllib.parse import urlsplit

from loadtest import LoadtestError
from loadtest.settings import LoadtestSettings

_PATH = "/v1/devices?limit=1"
_REFUSED = (http.client.UNAUTHORIZED, http.client.FORBIDDEN)


def check_target(settings: LoadtestSettings) -> None:
    """Raise LoadtestError where the API does not answer, is not trusted, or does not know us."""
    asked = f"LOADTEST_TARGET={settings.target!r}"
    try:
        status = _ask(settings)
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


def check_ca_file(settings: LoadtestSettings) -> None:
    """Raise LoadtestError where the file of the authority holds none."""
    try:
        ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:  # an SSLError is one as well
        reason = error.strerror if not isinstance(error, ssl.SSLError) else "no certificate in PEM"
        raise LoadtestError(f"LOADTEST_CA_FILE={settings.ca_file!r}: {reason}") from error


def _ask(settings: LoadtestSettings) -> int:
    address = urlsplit(settings.target)
    assert address.hostname is not None
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        connection = http.client.HTTPSConnection(
            address.hostname, address.port, timeout=settings.timeout_seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=settings.timeout_seconds
        )
    key = settings.api_key.value if settings.api_key else None
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", _PATH, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
