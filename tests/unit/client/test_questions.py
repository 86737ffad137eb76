"""What a client is told wrongly it refuses before anything is asked."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from telemetry.client import Client
from telemetry.client.client import _length, _moment
from telemetry.client.key import Key
from telemetry.client.transport import Address, Request


def test_an_address_may_have_a_port_and_a_path() -> None:
    assert Address.parse("http://[::1]:8080") == Address(False, "::1", 8080, "")
    assert Address.parse("https://example.org/denyut/") == Address(
        True, "example.org", None, "/denyut"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://example.org",
        "http://",
        "http://me:secret@example.org",
        "http://example.org?x=1",
        "http://example.org#x",
        "http://example.org:99999",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Client(url)


def test_a_certificate_authority_without_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="https"):
        Client("http://127.0.0.1", ca_file=tmp_path / "ca")


def test_a_key_comes_from_a_file_that_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("dnyt_one\n")
    key = Key(None, file)
    assert key.headers == {"Authorization": "Bearer dnyt_one"}
    assert not key.renew()
    file.write_text("dnyt_two\n")
    assert key.renew()
    assert key.headers == {"Authorization": "Bearer dnyt_two"}
    file.write_text("")
    assert not key.renew()
    file.unlink()
    assert not key.renew()
    assert key.headers == {"Authorization": "Bearer dnyt_two"}


@pytest.mark.parametrize("text", ["", "two words", "two\nlines", "k" * 2_000, "schlüssel"])
def test_a_file_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(ValueError, match="printable") as refusal:
        Key(None, file)
    assert not text or text not in str(refusal.value)


def test_a_key_and_a_file_of_one_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        Key("dnyt_one", tmp_path / "key")


def test_times_are_asked_in_utc() -> None:
    east = timezone(timedelta(hours=7))
    assert _moment(datetime(2026, 1, 31, 12, 0, 0, 250_999, east)) == "2026-01-31T05:00:00.250Z"
    assert _moment("-1h") == "-1h"
    assert _length(timedelta(minutes=1.5)) == "90000ms"
    with pytest.raises(ValueError, match="time zone"):
        _moment(datetime(2026, 1, 31))


def test_parameters_are_quoted() -> None:
    request = Request("/v1/readings", {"start": "2026-01-31T12:00:00+07:00", "fields": "a,b"})
    assert request.target == "/v1/readings?start=2026-01-31T12%3A00%3A00%2B07%3A00&fields=a%2Cb"


@pytest.mark.parametrize(
    ("method", "given"), [("readings", {"site": "hall"}), ("latest", {"limit": 1})]
)
def test_a_device_and_what_it_excludes_are_refused(method: str, given: dict[str, Any]) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="device"):
        getattr(client, method)("d1", **given)


def test_the_same_moment_is_asked_the_same_way_wherever_it_is_from() -> None:
    assert _moment(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00.000Z"
