"""Certificates as TLS itself judges them, in memory, without a socket."""

import ssl
from pathlib import Path

import pytest

from broker.certificates import Authority, CertificateError, Issued, days_left


def test_a_server_is_believed_by_those_who_trust_its_authority(tmp_path: Path) -> None:
    authority = Authority.make("test authority")
    server = authority.issue_server(["broker", "127.0.0.1"])

    assert shake_hands(tmp_path, server, trusting=authority, as_host="broker")
    assert shake_hands(tmp_path, server, trusting=authority, as_host="127.0.0.1")


def test_a_server_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    server = Authority.make("another authority").issue_server(["broker"])

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, server, trusting=Authority.make("test authority"), as_host="broker")


def test_a_server_under_another_name_is_not_believed(tmp_path: Path) -> None:
    authority = Authority.make("test authority")

    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(tmp_path, authority.issue_server(["broker"]), authority, "elsewhere")


def test_an_expired_server_is_not_believed(tmp_path: Path) -> None:
    authority = Authority.make("test authority")
    expired = authority.issue_server(["broker"], days=-1)

    assert days_left(expired.certificate_pem) < 0
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(tmp_path, expired, trusting=authority, as_host="broker")


def test_a_clients_certificate_is_no_servers(tmp_path: Path) -> None:
    authority = Authority.make("test authority")

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, authority.issue_client("broker"), authority, "broker")


def test_an_authority_goes_on_from_what_was_kept_of_it(tmp_path: Path) -> None:
    first = Authority.make("test authority")
    server = Authority.load(first.kept).issue_server(["broker"])

    assert shake_hands(tmp_path, server, trusting=first, as_host="broker")


def test_an_authority_of_mixed_up_parts_is_refused() -> None:
    one, other = Authority.make("one").kept, Authority.make("other").kept

    with pytest.raises(CertificateError, match="does not belong"):
        Authority.load(Issued(one.certificate_pem, other.key_pem))
    with pytest.raises(CertificateError, match="cannot be read"):
        Authority.load(Issued("no certificate", one.key_pem))


def test_a_key_is_not_seen_in_a_log() -> None:
    assert "PRIVATE KEY" not in repr(Authority.make("test authority").kept)


def shake_hands(folder: Path, server: Issued, trusting: Authority, as_host: str) -> bool:
    """Let a client and a server talk over memory until both are content; raise what either does."""
    chain = folder / "server.pem"
    chain.write_text(server.certificate_pem + server.key_pem)
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(chain)
    at_client = ssl.create_default_context(cadata=trusting.certificate_pem)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = at_client.wrap_bio(down, up, server_hostname=as_host)
    waiting = {client, at_server.wrap_bio(up, down, server_side=True)}
    for _round in range(10):
        waiting -= {side for side in waiting if _is_content(side)}
    return not waiting


def _is_content(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
