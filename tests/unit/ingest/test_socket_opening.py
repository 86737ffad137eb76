"""Which socket sources the settings ask for, and what is refused before any socket opens."""

import os
from pathlib import Path

import pytest

from ingest.settings import IngestSettings
from ingest.sources.opening import open_sources
from ingest.sources.socket_opening import allowed_users, open_socket_sources
from telemetry.settings import Secret, SettingError
from telemetry.topics import TopicRouter
from tests.ingest_parts import Parts
from tests.log_lines import capture_logs


def opened(folder: Path, **given: object) -> list[str]:
    parts = Parts(folder)
    settings = IngestSettings.load({}, store_url="sqlite:///none", **given)
    return [one.way for one in open_socket_sources(settings, parts.intake, parts.tally)]


def test_each_socket_is_a_source_when_it_is_set_and_none_is_by_default(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    path = str(tmp_path / "in.sock")

    assert opened(tmp_path) == []
    assert opened(tmp_path, unix_socket=path) == ["unix"]
    assert opened(tmp_path, tcp_listen="127.0.0.1:0", keys_file=str(keys)) == ["tcp"]
    assert opened(tmp_path, udp_listen="127.0.0.1:0", unixgram_socket=path) == ["udp", "unixgram"]
    assert not Path(path).exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tcp_listen": "127.0.0.1:0"}, "INGEST_KEYS_FILE is not set"),
        ({"tcp_listen": "127.0.0.1:0", "keys_file": "nowhere"}, "INGEST_KEYS_FILE='nowhere'"),
        ({"tcp_listen": "9103", "keys_file": "KEYS"}, "host:port"),
        (
            {"tcp_listen": "127.0.0.1:0", "keys_file": "KEYS", "tcp_key_file": "k"},
            "INGEST_TCP_CERTIFICATE_FILE is not set",
        ),
        ({"unix_socket": "in.sock", "unix_allow_users": "no such user"}, "no such user"),
        ({"unix_socket": "x" * 200}, "107 bytes"),
        ({"udp_listen": "9104"}, "INGEST_UDP_LISTEN='9104'"),
        ({"udp_listen": "0.0.0.0:9104", "udp_allow": "10.0.0.0/8, 10.1"}, "'10.1'"),
        ({"udp_listen": "0.0.0.0:9104", "udp_allow": "10.0.0.1/8"}, "host bits set"),
        ({"udp_listen": "0.0.0.0:9104", "udp_allow": " , "}, "INGEST_UDP_ALLOW=.*are allowed"),
        ({"tcp_listen": "127.0.0.1:0", "keys_file": "nowhere"}, "ingest keys make"),
    ],
)
def test_what_cannot_be_is_refused_by_its_settings_name(
    tmp_path: Path, given: dict[str, str], why: str
) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    given = {name: str(keys) if text == "KEYS" else text for name, text in given.items()}

    with pytest.raises(SettingError, match=why):
        opened(tmp_path, **given)


@pytest.mark.parametrize(
    ("way", "listen", "tells"),
    [
        ("tcp", "0.0.0.0:0", True),
        ("tcp", "ingest.example:0", True),
        ("tcp", "[::1]:0", False),
        ("tcp", "localhost:0", False),
        ("intake", "0.0.0.0:0", True),
        ("intake", "127.0.0.1:0", False),
    ],
)
def test_a_start_without_tls_beyond_this_machine_says_what_to_do(
    tmp_path: Path, way: str, listen: str, *, tells: bool
) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    parts = Parts(tmp_path, mqtt=False, keys_file=str(keys), **{f"{way}_listen": listen})
    with capture_logs() as lines:
        open_sources(parts.settings, TopicRouter([]), parts.intake, parts.tally)

    warned = [line["event"] for line in lines if line["level"] == "warning"]
    assert [f"INGEST_{way.upper()}_CERTIFICATE_FILE" in one for one in warned] == [True] * tells


def test_ones_own_user_and_root_may_always_send_and_others_as_they_are_named() -> None:
    assert allowed_users("") == {0, os.getuid()}
    assert allowed_users(" 4711, root ,nobody") >= {0, 4711, os.getuid()}
    assert len(allowed_users("4711,nobody")) == len({0, os.getuid()}) + 2


def test_without_any_way_in_the_settings_of_all_are_named(tmp_path: Path) -> None:
    parts = Parts(tmp_path, mqtt=False, database_url=Secret(""))
    router = TopicRouter([])

    with pytest.raises(SettingError) as caught:
        open_sources(parts.settings, router, parts.intake, parts.tally)

    for name in ("TCP_LISTEN", "UNIX_SOCKET", "FOLDER", "DATABASE_URL", "INTAKE_LISTEN"):
        assert f"INGEST_{name}" in str(caught.value)
