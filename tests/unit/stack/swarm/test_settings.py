"""What `make deploy` was told once holds for the calls that follow."""

from pathlib import Path

import pytest

from stack.swarm.settings import DeploySettings
from telemetry.settings import SettingError


@pytest.fixture
def naming(tmp_path: Path) -> dict[str, str]:
    return {"DENYUT_STATE_DIR": str(tmp_path), "DENYUT_STACK": "trial"}


def test_what_was_said_before_holds_until_something_else_is_said(naming: dict[str, str]) -> None:
    DeploySettings.remembered({**naming, "DENYUT_DEVICES": "500", "DENYUT_MTLS": "true"}).remember()

    later = DeploySettings.remembered({**naming, "DENYUT_DEVICES": "20"})

    assert (later.devices, later.mtls) == (20, True)


def test_each_stack_remembers_for_itself(naming: dict[str, str]) -> None:
    DeploySettings.remembered({**naming, "DENYUT_DEVICES": "500"}).remember()

    assert DeploySettings.remembered({**naming, "DENYUT_STACK": "other"}).devices == 100


def test_what_is_remembered_is_for_its_owner_alone(naming: dict[str, str], tmp_path: Path) -> None:
    DeploySettings.remembered(naming).remember()

    assert (tmp_path / "trial").stat().st_mode & 0o077 == 0
    assert (tmp_path / "trial" / "deployment.json").stat().st_mode & 0o077 == 0


def test_a_wrong_setting_is_named(naming: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="DENYUT_DEVICES='many'"):
        DeploySettings.remembered({**naming, "DENYUT_DEVICES": "many"})


def test_mutual_tls_gives_every_client_a_certificate(naming: dict[str, str]) -> None:
    with_it = DeploySettings.load({**naming, "DENYUT_MTLS": "true"}).variables
    without = DeploySettings.load(naming).variables

    assert with_it["CLIENT_CERTIFICATE_FILE"] == "/run/secrets/client-certificate"
    assert without["CLIENT_CERTIFICATE_FILE"] == ""


def test_a_broker_elsewhere_takes_the_place_of_the_stacks_own(naming: dict[str, str]) -> None:
    told = DeploySettings.load({**naming, "DENYUT_BROKER_HOST": "mqtt.example"}).variables

    assert (told["BROKER_HOST"], told["BROKER_REPLICAS"]) == ("mqtt.example", "0")
