"""What the services of a stack are given: made once, kept, renewed when it runs out."""

import json
from pathlib import Path

import pytest
import yaml
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate
from typer.testing import CliRunner

from api.__main__ import application as api
from broker.certificates import Authority, days_left
from ingest.command_line import application as ingest
from sensors.__main__ import application as sensors
from stack.swarm import PreflightError
from stack.swarm.materials import (
    API_KEY,
    API_KEYS,
    INGEST_KEYS,
    LOADTEST_KEY,
    SENSORS_KEY,
    STACK_FOLDER,
    Materials,
    check_files,
    make_materials,
)
from stack.swarm.settings import DeploySettings
from stack.swarm.vault import Vault

ROOMS = {"api": api, "ingest": ingest, "sensors": sensors}


@pytest.fixture(autouse=True)
def rooms_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the rooms without starting Python for each question, which `usual` does once."""

    def ask(room: str, *arguments: str) -> str:
        answered = CliRunner().invoke(ROOMS[room], arguments)
        assert answered.exit_code == 0, answered.output
        return answered.stdout

    monkeypatch.setattr("stack.swarm.materials._room", ask)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """What a stack with the usual settings is given, by the rooms' own processes."""
    return make_materials(DeploySettings(), Vault(tmp_path_factory.mktemp("usual")))


def test_a_second_deployment_has_the_same_secrets(vault: Vault) -> None:
    first = make_materials(DeploySettings(), vault)
    second = make_materials(DeploySettings(), vault)

    assert first == second
    assert len(set(first.secrets.values())) == len(first.secrets)


def test_every_secret_is_for_its_owner_alone(vault: Vault) -> None:
    make_materials(DeploySettings(), vault)

    assert all(path.stat().st_mode & 0o077 == 0 for path in vault.folder.iterdir())


def test_only_the_hash_of_the_operators_key_goes_to_the_stack(vault: Vault) -> None:
    materials = make_materials(DeploySettings(), vault)
    key = vault.get(API_KEY)

    assert all(key not in text for text in materials.secrets.values())
    assert all(key not in text for text in materials.configs.values())


def test_the_load_test_has_a_key_of_its_own_that_may_only_read(usual: Materials) -> None:
    entries = [json.loads(line) for line in usual.secrets[API_KEYS].splitlines()]

    assert [(one["name"], one["scopes"]) for one in entries] == [
        ("operator", ["read", "command", "admin"]),
        ("loadtest", ["read"]),
    ]
    assert usual.secrets[LOADTEST_KEY].split("_")[1] == entries[1]["id"]


def test_a_stack_that_knew_no_load_test_gets_its_key_and_keeps_the_others(vault: Vault) -> None:
    make_materials(DeploySettings(), vault)
    operator = vault.get(API_KEY)
    vault.forget(LOADTEST_KEY)

    again = make_materials(DeploySettings(), vault)

    assert vault.get(API_KEY) == operator
    assert again.secrets[LOADTEST_KEY] == vault.get(LOADTEST_KEY)


def test_new_api_keys_are_new_for_everybody(vault: Vault) -> None:
    before = make_materials(DeploySettings(), vault)
    vault.forget(API_KEY, API_KEYS)

    after = make_materials(DeploySettings(), vault)

    assert len(after.secrets[API_KEYS].splitlines()) == 2
    assert after.secrets[LOADTEST_KEY] != before.secrets[LOADTEST_KEY]


def test_services_and_people_find_the_front_by_a_name_of_its_certificate(
    usual: Materials,
) -> None:
    assert host_names(usual.secrets["front-certificate"]) == ["front", "localhost"]


def test_the_stacks_devices_have_a_key_for_ingest_that_is_for_them_alone(vault: Vault) -> None:
    told = DeploySettings(via="tcp")
    first = make_materials(told, vault).secrets
    entry = json.loads(first[INGEST_KEYS])

    assert entry["scopes"] == ["write"]
    assert {"sensors-*", "weather-*"} <= set(entry["devices"])
    assert not any(one in ("*", "") for one in entry["devices"])
    assert first[SENSORS_KEY].split("_")[1] == entry["id"]
    assert first[SENSORS_KEY] not in first[INGEST_KEYS]
    assert host_names(first["ingest-certificate"]) == ["ingest"]
    assert make_materials(told, vault).secrets == first
    assert all(path.stat().st_mode & 0o077 == 0 for path in vault.folder.iterdir())


def test_another_fleet_has_another_key_for_ingest(vault: Vault, tmp_path: Path) -> None:
    before = make_materials(DeploySettings(via="http"), vault).secrets
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        '[fleet]\nname = "other"\nseed = 1\n'
        '[[groups]]\nname = "pump"\ncount = 2\nsite = "hall"\nprofile = "machine"\n'
    )

    after = make_materials(DeploySettings(via="http", fleet=str(fleet)), vault).secrets

    assert json.loads(after[INGEST_KEYS])["devices"] == ["sensors-*", "pump-*"]
    assert after[SENSORS_KEY] != before[SENSORS_KEY]


def test_over_mqtt_ingest_has_no_keys_and_no_certificate(usual: Materials) -> None:
    assert not {INGEST_KEYS, SENSORS_KEY, "ingest-certificate", "ingest-key"} & usual.secrets.keys()


def test_secrets_are_not_seen_in_a_log(usual: Materials) -> None:
    assert not any(text in repr(usual) for text in usual.secrets.values())


def test_a_certificate_that_runs_out_soon_is_made_anew(vault: Vault) -> None:
    make_materials(DeploySettings(), vault)
    kept = Vault(vault.folder.parent)
    authority = Authority.make("another")
    kept.keep("broker-certificate", authority.issue_server(["broker"], days=3).certificate_pem)

    again = make_materials(DeploySettings(), vault)

    assert days_left(again.secrets["broker-certificate"]) > 300


def test_other_host_names_need_another_certificate(vault: Vault) -> None:
    before = make_materials(DeploySettings(), vault)
    after = make_materials(DeploySettings(hosts="pulse.example"), vault)

    assert before.secrets["front-certificate"] != after.secrets["front-certificate"]
    assert before.secrets["fleet-key"] == after.secrets["fleet-key"]
    assert before.authority == after.authority


def test_the_broker_lets_in_every_slots_devices_and_those_of_a_file(
    vault: Vault, tmp_path: Path
) -> None:
    further = tmp_path / "devices"
    further.write_text("boiler-{1..3}\n")
    told = DeploySettings(devices=6, max_sensors=2, devices_file=str(further))

    lines = make_materials(told, vault).configs["devices"].split()

    assert {"sensors-1", "sensors-2", "boiler-{1..3}"} <= set(lines)
    assert {"loadtest-1", "load-4-{0000..0499}"} <= set(lines)


def test_an_authority_of_ones_own_signs_the_certificates(vault: Vault, tmp_path: Path) -> None:
    own = Authority.make("our house").kept
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    certificate.write_text(own.certificate_pem)
    key.write_text(own.key_pem)

    told = DeploySettings(authority_certificate=str(certificate), authority_key=str(key))

    assert make_materials(told, vault).authority == own.certificate_pem
    assert vault.find("authority-key") is None


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            DeploySettings(fleet="/nowhere/fleet.toml"),
            "DENYUT_FLEET='/nowhere/fleet.toml': there is no such file",
        ),
        (DeploySettings(authority_key="/nowhere/key"), "belong together"),
        (DeploySettings(broker_ca="/nowhere/ca.pem"), "DENYUT_BROKER_CA"),
    ],
)
def test_a_file_that_is_not_there_is_named(told: DeploySettings, said: str) -> None:
    with pytest.raises(PreflightError, match=said):
        check_files(told)


def test_an_unreadable_secret_is_no_reason_to_make_another(vault: Vault) -> None:
    vault.path("fleet-key").write_bytes(b"\xff\xfe")

    with pytest.raises(Exception, match="fleet-key cannot be read"):
        vault.get("fleet-key")


def test_grafana_is_given_every_file_as_a_config_that_its_service_mounts(
    usual: Materials,
) -> None:
    given = usual.configs
    grafana = yaml.safe_load((STACK_FOLDER / "stack.yml").read_text())["services"]["grafana"]

    mounted = {one["source"]: one["target"] for one in grafana["configs"]}
    assert mounted.keys() == {name for name in given if name.startswith("grafana-")}
    assert mounted["grafana-alerts"] == "/etc/grafana/provisioning/alerting/denyut.yaml"
    path = yaml.safe_load(given["grafana-dashboards"])["providers"][0]["options"]["path"]
    assert mounted["grafana-fleet"].startswith(path)


def test_alerts_link_to_where_the_runbooks_can_be_read(vault: Vault) -> None:
    told = DeploySettings(runbooks_url="https://wiki.example/runbooks/")

    alerts = make_materials(told, vault).configs["grafana-alerts"]

    assert alerts.count("runbook_url: https://wiki.example/runbooks/") == 7


def host_names(certificate_pem: str) -> list[str]:
    found = load_pem_x509_certificate(certificate_pem.encode())
    names = found.extensions.get_extension_for_class(SubjectAlternativeName)
    return names.value.get_values_for_type(DNSName)
