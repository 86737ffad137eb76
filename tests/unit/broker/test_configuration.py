from pathlib import Path

from broker.access import access_rules
from broker.configuration import BrokerConfiguration, BrokerLimits


def _lines(limits: BrokerLimits) -> list[str]:
    folder = Path("/somewhere")
    configuration = BrokerConfiguration(
        host="127.0.0.1",
        port=1883,
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


def test_a_payload_of_the_largest_size_fits_into_a_packet_with_the_longest_topic() -> None:
    limits = BrokerLimits(max_payload_bytes=1_000)
    topic = f"telemetry/{'s' * 64}/{'d' * 64}/{'m' * 64}"

    assert limits.max_packet_bytes >= 1_000 + len(topic) + 100
    assert f"max_packet_size {limits.max_packet_bytes}" in _lines(limits)


def test_the_queue_holds_the_peak_rate_for_two_minutes() -> None:
    assert "max_queued_messages 600000" in _lines(BrokerLimits())


def test_each_setting_stands_once() -> None:
    names = [line.split()[0] for line in _lines(BrokerLimits())]
    single = [name for name in names if name != "log_type"]

    assert len(single) == len(set(single))


def test_the_rules_bind_a_device_to_topics_with_its_own_name() -> None:
    patterns = [line for line in access_rules().splitlines() if line.startswith("pattern")]

    assert len(patterns) == 4
    assert all("/%u" in pattern for pattern in patterns)
