"""Certificates in files, as settings name them and as servers show them."""

import ssl
from pathlib import Path

import pytest

from broker.certificates import Authority, Issued
from broker.configuration import Listener
from stack.broker import Broker
from telemetry.private_files import write_private


def write_authority(folder: Path, authority: Authority, name: str = "ca") -> Path:
    """Write what those who trust an authority need."""
    path = folder / f"{name}.crt"
    path.write_text(authority.certificate_pem)
    return path


def write_issued(folder: Path, issued: Issued, name: str = "own") -> tuple[Path, Path]:
    """Write a certificate and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_text(issued.certificate_pem)
    key.write_text(issued.key_pem)
    return certificate, key


def server_context(folder: Path, issued: Issued) -> ssl.SSLContext:
    """Return what a server that shows this certificate is made with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_issued(folder, issued, "server"))
    return context


def restart_showing(broker: Broker, issued: Issued, patch: pytest.MonkeyPatch) -> None:
    """Restart a Mosquitto with this certificate, without asking whether anybody trusts it."""
    (listener,) = broker.configuration.listeners
    assert isinstance(listener, Listener)
    assert listener.tls is not None
    write_private(listener.tls.certificate_file, issued.certificate_pem, owner=broker.user)
    write_private(listener.tls.key_file, issued.key_pem, owner=broker.user)
    with patch.context() as unasked:
        unasked.setattr(broker, "lacks", lambda: None)
        broker.restart()
