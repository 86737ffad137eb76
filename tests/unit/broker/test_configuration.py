from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.__main__ import application
from broker.access import access_rules
from broker.configuration import (
    BrokerConfiguration,
    BrokerLimits,
    Listener,
    ListenerTls,
    Load,
    SocketFile,
)

PLAIN = Listener("127.0.0.1", 1883)


def _lines(limits: BrokerLimits, *listeners: Listener | SocketFile) -> list[str]:
    folder = Path("/somewhere")
    configuration = BrokerConfiguration(
        listeners=listeners or (PLAIN,),
        password_file=folder / "passwords",
        acl_file=folder / "rules.acl",
        persistence_folder=folder,
        limits=limits,
    )
    return configuration.text().splitlines()


def test_nobody_gets_in_without_a_name_and_a_password() -> None:
    lines = _lines(BrokerLimits())

    assert "allow_anonymous false" in lines
    assert "password_file /somewhere/passwords" in lines
    assert "acl_file /somewhere/rules.acl" in lines


def test_it_listens_on_the_given_address_only() -> None:
    listeners = [line for line in _lines(BrokerLimits()) if line.startswith("listener")]

    assert listeners == ["listener 1883 127.0.0.1"]


def test_a_socket_file_is_one_more_listener() -> None:
    text = "\n".join(_lines(BrokerLimits(), PLAIN, SocketFile(Path("/run/broker.socket"))))

    assert text.endswith("\nlistener 0 /run/broker.socket\nmax_connections 12000")


def test_a_tls_listener_stands_beside_a_plaintext_one_and_each_has_its_own_lines() -> None:
    files = ListenerTls(
        certificate_file=Path("/tls/server.crt"),
        key_file=Path("/tls/server.key"),
        ca_file=Path("/tls/ca.crt"),
        require_certificate=True,
    )

    text = "\n".join(_lines(BrokerLimits(), PLAIN, Listener("0.0.0.0", 8883, files)))

    before, plain, encrypted = text.split("listener ")[-3:]
    assert plain == "1883 127.0.0.1\nmax_connections 12000\n"
    assert encrypted.splitlines() == [
        "8883 0.0.0.0",
        "max_connections 12000",
        "certfile /tls/server.crt",
        "keyfile /tls/server.key",
        "require_certificate true",
        "cafile /tls/ca.crt",
    ]
    assert "file /tls" not in before


def test_clients_certificates_are_not_required_without_an_authority_that_signs_them() -> None:
    with pytest.raises(ValueError, match="authority"):
        ListenerTls(certificate_file=Path("a"), key_file=Path("b"), require_certificate=True)


def test_a_payload_of_the_largest_size_fits_into_a_packet_with_the_longest_topic() -> None:
    limits = BrokerLimits(max_payload_bytes=1_000)
    topic = f"telemetry/{'s' * 64}/{'d' * 64}/{'m' * 64}"

    assert limits.max_packet_bytes >= 1_000 + len(topic) + 100
    assert f"max_packet_size {limits.max_packet_bytes}" in _lines(limits)


def test_the_queue_holds_the_peak_rate_for_two_minutes() -> None:
    assert "max_queued_messages 600000" in _lines(BrokerLimits())


def test_limits_are_worked_out_from_rate_outage_payload_and_devices() -> None:
    load = Load(readings_per_second=2_000, outage_seconds=600, payload_bytes=200, devices=500)

    lines = _lines(BrokerLimits.for_load(load))

    assert "max_queued_messages 1200000" in lines
    assert "max_queued_bytes 240000000" in lines
    assert "max_inflight_messages 400" in lines
    assert "max_connections 600" in lines


def test_a_small_load_leaves_room_for_the_windows_of_devices() -> None:
    assert BrokerLimits.for_load(Load(readings_per_second=1)).max_inflight_messages >= 5 * 20


def test_the_usual_limits_are_those_of_the_usual_load() -> None:
    assert BrokerLimits() == BrokerLimits.for_load(Load())


def test_a_full_queue_of_the_largest_payloads_takes_less_than_a_gigabyte() -> None:
    assert BrokerLimits().full_queue_memory_bytes < 1_000_000_000


def test_the_command_line_prints_the_configuration_for_a_load() -> None:
    arguments = ["configuration", "--rate", "100", "--outage", "60", "--folder", "/kept"]

    result = CliRunner().invoke(application, arguments)

    assert result.exit_code == 0
    assert "max_queued_messages 6000\n" in result.stdout
    assert "persistence_location /kept/\n" in result.stdout
    assert "MB of memory" in result.stderr


@pytest.mark.parametrize("option", ["--rate", "--outage", "--payload", "--devices"])
def test_the_command_line_refuses_a_load_of_nothing(option: str) -> None:
    assert CliRunner().invoke(application, ["configuration", option, "0"]).exit_code == 2


def test_the_command_line_prints_the_access_rules() -> None:
    assert CliRunner().invoke(application, ["rules"]).stdout == access_rules()


def test_each_setting_stands_once() -> None:
    names = [line.split()[0] for line in _lines(BrokerLimits())]
    single = [name for name in names if name != "log_type"]

    assert len(single) == len(set(single))


def test_the_rules_bind_a_device_to_topics_with_its_own_name() -> None:
    patterns = [line for line in access_rules().splitlines() if line.startswith("pattern")]

    assert len(patterns) == 4
    assert all("/%u" in pattern for pattern in patterns)
