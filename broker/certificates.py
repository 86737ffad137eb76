"""A certificate authority for one stack, and the certificates that it signs (X.509, RFC 5280).

Keys are ECDSA over P-256 (RFC 8422): a handshake costs a broker a tenth of RSA's.
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397  # what browsers accept at most

# Machines whose clocks differ by less take a certificate that was made just now.
_CLOCK_TOLERANCE = timedelta(minutes=5)


class CertificateError(ValueError):
    """Raised when a certificate or its key cannot be read, or the two do not belong together."""


class Issued(Struct, frozen=True):
    """A certificate and its private key, both as PEM text; the key is not to be printed."""

    certificate_pem: str
    key_pem: str

    def __repr__(self) -> str:
        return f"Issued({self.certificate_pem!r}, …)"


class Authority:
    """Signs certificates; made once, then loaded from where its certificate and key are kept."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str, *, days: int = AUTHORITY_DAYS) -> Self:
        """Return a new authority of this name, valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_subject(name), _subject(name), key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, kept: Issued) -> Self:
        """Return the authority that was kept; CertificateError where it is none."""
        certificate, key = _read_pair(kept)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError("the authority's key is not an elliptic curve's")
        return cls(certificate, key)

    @property
    def kept(self) -> Issued:
        """What `load` takes."""
        return Issued(_pem(self._certificate), _key_pem(self._key))

    @property
    def certificate_pem(self) -> str:
        """What those who are to trust this authority get."""
        return _pem(self._certificate)

    def issue_server(self, hosts: Sequence[str], *, days: int = CERTIFICATE_DAYS) -> Issued:
        """Return a certificate for a server that is reached by these host names and addresses."""
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, days, names)

    def issue_client(self, name: str, *, days: int = CERTIFICATE_DAYS) -> Issued:
        """Return a certificate with which a client shows that it belongs to this authority."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, days, None)

    def _issue(
        self,
        name: str,
        use: x509.ObjectIdentifier,
        days: int,
        names: x509.SubjectAlternativeName | None,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_subject(name), self._certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return Issued(_pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key))


def check_pair(given: Issued) -> None:
    """Raise CertificateError where a server could not show this certificate now."""
    certificate, _key = _read_pair(given)
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        raise CertificateError(f"the certificate expired at {certificate.not_valid_after_utc}")
    if now < certificate.not_valid_before_utc:
        raise CertificateError(f"the certificate begins at {certificate.not_valid_before_utc}")


def days_left(certificate_pem: str) -> float:
    """Return for how many days a certificate is still valid; negative once it has expired."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError as error:
        raise CertificateError(f"this is no certificate: {error}") from error
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)


def _read_pair(given: Issued) -> tuple[x509.Certificate, PrivateKeyTypes]:
    try:
        certificate = x509.load_pem_x509_certificate(given.certificate_pem.encode())
    except ValueError as error:
        raise CertificateError(f"the certificate cannot be read: {error}") from error
    try:
        key = serialization.load_pem_private_key(given.key_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"the key cannot be read: {error}") from error
    if key.public_key() != certificate.public_key():
        raise CertificateError("the key does not belong to the certificate")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    end = now + timedelta(days=days)
    # One that has expired, as for a test of its refusal, began before it ended.
    begin = min(now, end - timedelta(days=1)) - _CLOCK_TOLERANCE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not host.isascii() or not host:
            raise CertificateError(f"{host!r} is not a host name: write it in ASCII") from None
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
