"""Topics: an address becomes a topic and back; templates take in foreign ones."""

import pytest
from hypothesis import given

from telemetry.reading import Address
from telemetry.topics import READINGS, TopicError, TopicRouter, TopicTemplate, parse_templates
from tests.strategies import names


@given(names(), names(), names())
def test_an_address_comes_back_from_its_topic(site: str, device: str, measurement: str) -> None:
    template = TopicTemplate.parse(READINGS)
    address = Address(site, device, measurement)

    assert template.match(template.topic(address)) == address


def test_a_foreign_template_names_what_its_topics_lack() -> None:
    router = TopicRouter(
        parse_templates(
            f"{READINGS}; zigbee2mqtt/{{device}} site=home measurement=zigbee format=flat"
        )
    )

    own = router.route("telemetry/jakarta/node-1/weather")
    foreign = router.route("zigbee2mqtt/lamp")

    assert (own.address, own.format) == (Address("jakarta", "node-1", "weather"), None)
    assert (foreign.address, foreign.format) == (Address("home", "lamp", "zigbee"), "flat")


def test_a_template_of_bare_values_names_the_field_by_a_level_or_behind_it() -> None:
    router = TopicRouter(
        parse_templates(
            "shellies/{device}/sensor/{field} site=home measurement=shelly format=value;"
            "shellies/{device}/relay/0/power site=home measurement=shelly field=power format=value"
        )
    )

    assert router.route("shellies/ht-1/sensor/battery").field == "battery"
    assert router.route("shellies/plug-1/relay/0/power").field == "power"


def test_a_template_is_subscribed_to_by_one_wildcard_a_placeholder() -> None:
    template = TopicTemplate.parse("tele/{device}/SENSOR site=home measurement=tasmota")

    assert template.subscription == "tele/+/SENSOR"


@pytest.mark.parametrize(
    "topic", ["other/s/d/m", "telemetry/s/d", "telemetry/s/d/m/x", "", "telemetry"]
)
def test_a_topic_of_no_template_has_no_address(topic: str) -> None:
    with pytest.raises(TopicError, match="no topic template matches"):
        TopicRouter(parse_templates(READINGS)).route(topic)


@pytest.mark.parametrize("device", ["", "a b", "a,b", '"', "a\nb", "é", "-a", "x" * 65, "a\n"])
def test_a_topic_with_a_bad_name_is_refused_by_its_part(device: str) -> None:
    with pytest.raises(TopicError, match=r"^device "):
        TopicRouter(parse_templates(READINGS)).route(f"telemetry/s/{device}/m")


@pytest.mark.parametrize(
    "template",
    [
        "telemetry/{device}",
        "telemetry/{site}/{device}/{measurement}/{device}",
        "telemetry/{site}/{device}/{measurement} site=home",
        "telemetry/{site}/{device}/{kind} measurement=m",
        "telemetry/+/{site}/{device}/{measurement}",
        "telemetry/#/{site}/{device}/{measurement}",
        "telemetry/x{site}/{device}/{measurement}",
        "telemetry/{site}/{device}/{measurement} format=xml",
        "telemetry/{site}/{device}/{measurement} colour=red",
        "telemetry/{site}/{device}/{measurement}/{field}",
        "telemetry/{site}/{device}/{measurement} format=value",
        "telemetry/{site}/{device}/{measurement}/{field} field=a format=value",
        "telemetry/{site}/{device}/{measurement} field=a format=flat",
    ],
)
def test_a_template_that_cannot_work_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(TopicError) as caught:
        parse_templates(template)

    assert repr(template) in str(caught.value)
