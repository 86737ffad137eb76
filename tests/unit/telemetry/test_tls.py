"""TLS contexts out of settings: whom they trust, and what is said of files that cannot be used."""

import re
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from api.settings import ApiSettings
from broker.certificates import Authority, Issued
from ingest.settings import IngestSettings
from sensors.settings import SensorsSettings
from telemetry import tls
from telemetry.settings import Secret, SettingError
from telemetry.tls import client_context, in_words, verdict
from tests.certificates import server_context, write_authority, write_issued

AUTHORITY = Authority.make("an authority")
OWN = AUTHORITY.issue_client("a")


def settings(**files: Path | str) -> SensorsSettings:
    paths = {f"tls_{name}_file": str(path) for name, path in files.items()}
    return SensorsSettings.load({}, fleet_key=Secret("key"), **paths)


def refusal(**files: Path | str) -> str:
    with pytest.raises(SettingError) as caught:
        client_context(settings(**files))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def context(**files: Path | str) -> ssl.SSLContext:
    made = client_context(settings(**files))
    assert made is not None
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> str | None:
    """Let both talk over memory; return the client's TLS version."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    at_client = client.wrap_bio(down, up, server_hostname=host)
    at_server = server.wrap_bio(up, down, server_side=True)
    for _round in range(4):
        for side in (at_client, at_server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return at_client.version()


def failure(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLError:
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(client, server, host)
    return caught.value


def test_without_files_there_is_no_tls() -> None:
    assert client_context(settings()) is None


@pytest.mark.parametrize("prefix", ["SENSORS", "INGEST", "API"])
def test_every_client_reads_the_files_under_its_own_prefix(prefix: str, tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, key = write_issued(tmp_path, OWN)
    named = {
        f"{prefix}_TLS_CA_FILE": str(ca_file),
        f"{prefix}_TLS_CERTIFICATE_FILE": str(certificate),
        f"{prefix}_TLS_KEY_FILE": str(key),
    }
    secrets = {"SENSORS_FLEET_KEY": "key", "INGEST_PASSWORD": "hush"}
    stores = {"INGEST_STORE_URL": "sqlite:///s", "API_STORE_URL": "sqlite:///s"}
    for declared in (SensorsSettings, IngestSettings, ApiSettings):
        made = client_context(declared.load(named | secrets | stores))
        assert (made is not None) == (declared.prefix == prefix)


def test_a_broker_of_the_authority_is_trusted_under_its_name(tmp_path: Path) -> None:
    client = context(ca=write_authority(tmp_path, AUTHORITY))
    server = server_context(tmp_path, AUTHORITY.issue_server(["broker"]))

    assert shake_hands(client, server, "broker") == "TLSv1.3"


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (AUTHORITY.issue_server(["elsewhere"]), "Hostname mismatch, .* not valid for 'broker'$"),
        (AUTHORITY.issue_server(["broker"], days=-1), "certificate has expired$"),
        (Authority.make("another").issue_server(["broker"]), "unable to get local issuer"),
        (AUTHORITY.issue_client("broker"), "unsupported certificate purpose|unsuitable"),
    ],
    ids=["another name", "expired", "another authority", "a client's"],
)
def test_any_other_broker_is_not(shown: Issued, why: str, tmp_path: Path) -> None:
    client = context(ca=write_authority(tmp_path, AUTHORITY))
    error = failure(client, server_context(tmp_path, shown), "broker")

    assert verdict(error) == "untrusted"
    assert re.match(f"the broker's certificate is not trusted: ({why})", in_words(error))


def test_tls_older_than_1_2_is_not_spoken(tmp_path: Path) -> None:
    client = context(ca=write_authority(tmp_path, AUTHORITY))
    server = server_context(tmp_path, AUTHORITY.issue_server(["broker"]))

    assert client.minimum_version == ssl.TLSVersion.TLSv1_2
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shake_hands(client, server, "broker") == "TLSv1.2"


def test_ones_own_certificate_is_shown(tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, key = write_issued(tmp_path, OWN)
    server = server_context(tmp_path, AUTHORITY.issue_server(["broker"]))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=AUTHORITY.certificate_pem)

    assert shake_hands(context(ca=ca_file, certificate=certificate, key=key), server, "broker")
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(context(ca=ca_file), server, "broker")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"certificate": "c"}, "SENSORS_TLS_CERTIFICATE_FILE='c': SENSORS_TLS_CA_FILE is not set"),
        ({"key": "k"}, "SENSORS_TLS_KEY_FILE='k': SENSORS_TLS_CA_FILE is not set"),
        (
            {"ca": "a", "certificate": "c"},
            "SENSORS_TLS_CERTIFICATE_FILE='c': SENSORS_TLS_KEY_FILE is not set",
        ),
        ({"ca": "a", "key": "k"}, "SENSORS_TLS_KEY_FILE='k': SENSORS_TLS_CERTIFICATE_FILE is not"),
    ],
    ids=["certificate alone", "key alone", "no key", "no certificate"],
)
def test_a_file_without_the_others_that_it_needs_is_refused(
    given: dict[str, str], said: str
) -> None:
    assert refusal(**given).startswith(said)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, key = write_issued(tmp_path, OWN)
    gone = tmp_path / "gone"
    missing = "cannot be read: No such file or directory"

    assert refusal(ca=gone) == f"SENSORS_TLS_CA_FILE='{gone}': {missing}"
    assert (
        refusal(ca=ca_file, certificate=gone, key=key)
        == f"SENSORS_TLS_CERTIFICATE_FILE='{gone}': {missing}"
    )
    assert (
        refusal(ca=ca_file, certificate=certificate, key=gone)
        == f"SENSORS_TLS_KEY_FILE='{gone}': {missing}"
    )


@pytest.mark.parametrize("text", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nMIIB\n"])
def test_a_file_that_is_not_what_it_should_be_is_named(text: str, tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, key = write_issued(tmp_path, OWN)
    bad = tmp_path / "bad"
    bad.write_text(text)

    assert refusal(ca=bad) == f"SENSORS_TLS_CA_FILE='{bad}': holds no certificate in PEM"
    assert (
        refusal(ca=ca_file, certificate=bad, key=key)
        == f"SENSORS_TLS_CERTIFICATE_FILE='{bad}': holds no certificate in PEM"
    )
    said = refusal(ca=ca_file, certificate=certificate, key=bad)
    assert said.startswith(f"SENSORS_TLS_KEY_FILE='{bad}': holds no private key in PEM")
    assert refusal(ca=key).endswith("holds no certificate in PEM")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, _ = write_issued(tmp_path, OWN)
    _, other = write_issued(tmp_path, AUTHORITY.issue_client("b"), "other")

    assert (
        refusal(ca=ca_file, certificate=certificate, key=other)
        == f"SENSORS_TLS_KEY_FILE='{other}': does not belong to the certificate '{certificate}'"
    )


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    ca_file = write_authority(tmp_path, AUTHORITY)
    certificate, key = write_issued(tmp_path, OWN)
    locked = serialization.load_pem_private_key(key.read_bytes(), password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )
    key.write_bytes(locked)

    assert refusal(ca=ca_file, certificate=certificate, key=key).endswith("or one with a password")


def test_a_broker_that_refuses_us_is_told_so_after_the_handshake(tmp_path: Path) -> None:
    server = server_context(tmp_path, AUTHORITY.issue_server(["broker"]))
    server.verify_mode = ssl.CERT_REQUIRED
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ca=write_authority(tmp_path, AUTHORITY)).wrap_bio(down, up, False, "broker")
    at_server = server.wrap_bio(up, down, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        at_server.do_handshake()
    client.do_handshake()
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        at_server.do_handshake()

    with pytest.raises(ssl.SSLError) as refused:
        client.read()

    assert verdict(refused.value) == "refused"
    assert in_words(refused.value).startswith("the broker refuses TLS with us: ")


def test_a_broker_that_goes_away_in_a_handshake_needs_nobody(tmp_path: Path) -> None:
    gone = ssl.MemoryBIO()
    gone.write_eof()
    client = context(ca=write_authority(tmp_path, AUTHORITY)).wrap_bio(
        gone, ssl.MemoryBIO(), server_hostname="broker"
    )
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()

    assert verdict(caught.value) == "unreachable"
    assert in_words(caught.value).startswith("no TLS: ")


def test_an_error_that_is_not_openssls_has_words_as_well() -> None:
    for error in (ssl.SSLError("odd"), ssl.SSLCertVerificationError("odd"), ssl.SSLError(1, "odd")):
        assert in_words(error).endswith(": odd")


def test_a_server_of_ours_shows_its_certificate_and_speaks_tls_1_2_or_newer(tmp_path: Path) -> None:
    certificate, key = write_issued(tmp_path, AUTHORITY.issue_server(["ingest"]))

    server = tls.server_context("INGEST_TCP", str(certificate), str(key))

    assert server is not None
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    client = context(ca=write_authority(tmp_path, AUTHORITY))
    assert shake_hands(client, server, "ingest") == "TLSv1.3"


def test_a_server_without_files_speaks_plaintext() -> None:
    assert tls.server_context("INGEST_TCP", "", "") is None


def test_a_server_needs_certificate_and_key_that_belong_together(tmp_path: Path) -> None:
    certificate, _key = write_issued(tmp_path, AUTHORITY.issue_server(["ingest"]))
    _other, other_key = write_issued(tmp_path, OWN, "other")

    with pytest.raises(SettingError, match="INGEST_TCP_KEY_FILE is not set"):
        tls.server_context("INGEST_TCP", str(certificate), "")
    with pytest.raises(SettingError, match=r"INGEST_TCP_KEY_FILE=.*does not belong"):
        tls.server_context("INGEST_TCP", str(certificate), str(other_key))
    with pytest.raises(SettingError, match=r"INGEST_TCP_CERTIFICATE_FILE=.*cannot be read"):
        tls.server_context("INGEST_TCP", "nowhere.crt", str(other_key))
