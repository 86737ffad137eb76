"""TLS as our MQTT clients and our own servers speak it: whom they trust, and what they show.

Where an authority is named there is no way back to plaintext: a broker that it did not sign, or
that is reached under another name than its certificate's, is an error.
"""

import ssl
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from msgspec import Meta

from telemetry.settings import SettingError

# A msgspec Struct has one base with fields, and that is the store's settings in two services: so
# what is shared are the types, and each service has three lines.
CaFile = Annotated[
    str,
    Meta(
        description="a file with the certificates (PEM) of the authorities that sign the broker's; "
        "with it the broker is spoken to over TLS alone; empty for plaintext"
    ),
]
CertificateFile = Annotated[
    str, Meta(description="a file with the certificate (PEM) shown to the broker; empty for none")
]
KeyFile = Annotated[str, Meta(description="the file with that certificate's private key (PEM)")]

Verdict = Literal["untrusted", "refused", "unreachable"]
"""Why there is no TLS: we do not trust the broker, it does not take us, or it went away."""


class TlsSettings(Protocol):
    """What the settings of each MQTT client say about TLS."""

    prefix: ClassVar[str]

    @property
    def tls_ca_file(self) -> str:
        """Whom to trust."""

    @property
    def tls_certificate_file(self) -> str:
        """What to show of oneself."""

    @property
    def tls_key_file(self) -> str:
        """The key that belongs to it."""


def client_context(settings: TlsSettings) -> ssl.SSLContext | None:
    """Return what a client's connections are made with, None where they are plaintext.

    Raises SettingError where a file cannot be used, or one is named without the others that it
    needs.
    """
    variable = f"{settings.prefix}_TLS".upper()
    _check_complete(settings, variable)
    if not settings.tls_ca_file:
        return None
    # Asks for a certificate and compares the host's name with it, unlike a bare SSLContext.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A handshake amid the readings would let sending wait for reading.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _trust(context, f"{variable}_CA_FILE", settings.tls_ca_file)
    if settings.tls_certificate_file:
        _show(context, variable, settings.tls_certificate_file, settings.tls_key_file)
    return context


def server_context(variable: str, certificate_file: str, key_file: str) -> ssl.SSLContext | None:
    """Return what a server of ours is made with, None where it speaks plaintext.

    Its settings are named `variable` with _CERTIFICATE_FILE and _KEY_FILE behind it. Raises
    SettingError where a file cannot be used, or one is named without the other.
    """
    files = {"CERTIFICATE_FILE": certificate_file, "KEY_FILE": key_file}
    lacking = [name for name, path in files.items() if not path]
    if len(lacking) == len(files):
        return None
    for name in lacking:
        raise SettingError(f"{variable}_{name} is not set: certificate and key belong together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _show(context, variable, certificate_file, key_file)
    return context


def verdict(error: ssl.SSLError) -> Verdict:
    """Return why a handshake failed; all but `unreachable` needs a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "untrusted"
    gone = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return "unreachable" if gone else "refused"


def in_words(error: ssl.SSLError) -> str:
    """Return in a line why a handshake failed."""
    # What is raised above OpenSSL has neither reason nor verify_message.
    reason = getattr(error, "reason", None) or str((error.args or ("unknown",))[-1])
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", reason).rstrip(".")
        return f"the broker's certificate is not trusted: {why}"
    reason = reason.replace("_", " ").lower()
    return f"{'the broker refuses TLS with us' if 'alert' in reason else 'no TLS'}: {reason}"


def _check_complete(settings: TlsSettings, variable: str) -> None:
    given = {
        f"{variable}_CA_FILE": settings.tls_ca_file,
        f"{variable}_CERTIFICATE_FILE": settings.tls_certificate_file,
        f"{variable}_KEY_FILE": settings.tls_key_file,
    }
    authority, *own = given
    named = [name for name in own if given[name]]
    if not named:
        return
    for name, path in given.items():
        if not path:
            why = "the broker is trusted" if name == authority else "certificate and key are shown"
            raise SettingError(
                f"{named[0]}={given[named[0]]!r}: {name} is not set as well, by which {why}"
            )


def _trust(context: ssl.SSLContext, variable: str, path: str) -> None:
    _check_readable(variable, path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise SettingError(f"{variable}={path!r}: holds no certificate in PEM") from error
    if not context.cert_store_stats()["x509"]:
        raise SettingError(f"{variable}={path!r}: holds no certificate in PEM")


def _show(context: ssl.SSLContext, variable: str, certificate: str, key: str) -> None:
    # OpenSSL says the same of a certificate and of a key that it cannot read: one after the other.
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), f"{variable}_CERTIFICATE_FILE", certificate)
    _check_readable(f"{variable}_KEY_FILE", key)
    try:
        # Without a word on a password OpenSSL would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise SettingError(f"{variable}_KEY_FILE={key!r}: {_key_word(error, certificate)}") from (
            error
        )


def _key_word(error: ssl.SSLError, certificate: str) -> str:
    if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return f"does not belong to the certificate {certificate!r}"
    return "holds no private key in PEM, or one with a password"


def _check_readable(variable: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise SettingError(f"{variable}={path!r}: cannot be read: {error.strerror}") from error
