"""The stack file as it stands: what it asks of the Swarm, and what must hold for each service."""

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml

from ingest.inbox_settings import InboxSettings
from ingest.settings import IngestSettings
from sensors.settings import SensorsSettings
from stack.swarm import PreflightError
from stack.swarm.materials import make_materials
from stack.swarm.removal import VOLUMES
from stack.swarm.settings import MOST_APIS, DeploySettings, Via
from stack.swarm.stackfile import StackFile, fitting_overlays, via_overlays
from stack.swarm.vault import Vault
from telemetry.settings import SettingError, declarations

FILE = Path(__file__).parents[4] / "stack" / "stack.yml"
OVERLAYS = sorted(FILE.parent.joinpath("overlays").glob("*.yml"))
VIAS = [path for path in OVERLAYS if path.stem.startswith("via-")]
STATELESS = {"api", "front"}
ON_DEMAND = {"loadtest"}


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def deployed(**told: Any) -> StackFile:
    return StackFile(["one-node"], DeploySettings(**told).variables)


@pytest.mark.parametrize("name", services())
def test_every_service_is_hardened(name: str) -> None:
    service = services()[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
    assert service["deploy"]["resources"]["reservations"]["memory"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(services().keys() - ON_DEMAND))
def test_every_service_is_checked_restarted_and_rolled_back(name: str) -> None:
    service = services()[name]
    deploy = service["deploy"]

    assert service["healthcheck"]["test"]
    assert service["stop_grace_period"]
    assert deploy["restart_policy"]["condition"] == "any"
    assert deploy["update_config"]["failure_action"] == "rollback"
    order = "start-first" if name in STATELESS else "stop-first"
    assert deploy["update_config"]["order"] == deploy["rollback_config"]["order"] == order


def test_a_load_test_runs_only_when_it_is_asked_for_and_ends_by_itself() -> None:
    deploy = services()["loadtest"]["deploy"]

    assert deploy["replicas"] == 0
    assert deploy["restart_policy"] == {"condition": "none"}
    assert deploy["update_config"]["failure_action"] == "continue"
    assert not any("loadtest" in image for image in deployed().images())


def test_a_service_with_data_or_a_fixed_id_is_never_there_twice() -> None:
    for name, service in services().items():
        keeps = any(isinstance(volume, str) for volume in service.get("volumes", []))
        if keeps:
            assert service["deploy"]["update_config"]["order"] == "stop-first", name


def test_only_the_front_and_the_broker_are_published() -> None:
    published = {name for name, service in services().items() if "ports" in service}

    assert published == {"front", "broker"}


def test_the_front_has_room_for_as_many_apis_as_there_can_be() -> None:
    table = FILE.parent.joinpath("front", "haproxy.cfg").read_text()

    assert f"server-template task {MOST_APIS} tasks.api:" in table
    assert DeploySettings.load({"DENYUT_API": str(MOST_APIS)}).api == MOST_APIS
    with pytest.raises(SettingError, match=f"DENYUT_API.*{MOST_APIS}"):
        DeploySettings.load({"DENYUT_API": str(MOST_APIS + 1)})


def test_devices_share_a_network_with_the_broker_alone() -> None:
    on_it = {name for name, service in services().items() if "devices" in service["networks"]}

    assert on_it == {"broker", "sensors"}


@pytest.mark.parametrize("path", [FILE, *OVERLAYS], ids=lambda path: path.stem)
def test_no_secret_is_in_an_environment(path: Path) -> None:
    for name, service in yaml.safe_load(path.read_text())["services"].items():
        for variable, value in service.get("environment", {}).items():
            if any(word in variable for word in ("PASSWORD", "TOKEN", "_KEY", "SECRET")):
                assert variable.endswith(("_FILE", "__FILE")), f"{name}: {variable}"
                assert str(value).startswith(("/run/secrets/", "${CLIENT_")), f"{name}: {variable}"


@pytest.mark.parametrize("path", [FILE, *OVERLAYS], ids=lambda path: path.stem)
def test_every_variable_is_one_that_make_deploy_sets_or_has_a_default(path: Path) -> None:
    told = DeploySettings().variables
    for line in path.read_text().splitlines():
        for part in line.split("${")[1:]:
            name, _brace, _rest = part.partition("}")
            bare = name.partition(":-")[0]
            assert ":-" in name or bare in told or bare.endswith(("_SECRET", "_CONFIG")), name


def test_images_are_pinned_and_those_of_no_task_are_not_asked_for() -> None:
    assert all(image.rpartition(":")[2] not in ("", "latest") for image in deployed().images())
    assert any("grafana" in image for image in deployed().images())
    assert not any("grafana" in image for image in deployed(grafana=0).images())


def test_a_registry_stands_before_our_images_only() -> None:
    images = deployed(registry="registry.example:5000", version="1").images()

    assert "registry.example:5000/denyut/api:1" in images
    assert "influxdb:2.9.1" in images


def test_reserved_memory_counts_every_task() -> None:
    few, many = (tasks_of_96_megabytes(deployed(api=count)) for count in (1, 5))

    assert many - few == 4


def test_without_ipvs_every_service_is_found_by_its_tasks() -> None:
    named = yaml.safe_load(FILE.with_name("overlays").joinpath("no-ipvs.yml").read_text())

    assert named["services"].keys() == services().keys()


def test_a_port_of_the_node_is_let_go_before_the_next_task_wants_it() -> None:
    named = yaml.safe_load(FILE.with_name("overlays").joinpath("no-ipvs.yml").read_text())

    for name, service in named["services"].items():
        if "ports" in service:
            whole = services()[name]["deploy"] | service["deploy"]
            assert whole["update_config"]["order"] == "stop-first", name
            assert whole["update_config"]["failure_action"] == "rollback", name
            assert whole["rollback_config"]["order"] == "stop-first", name


def test_what_is_taken_away_with_the_data_is_every_volume() -> None:
    made = {
        name
        for path in (FILE, *OVERLAYS)
        for name in yaml.safe_load(path.read_text()).get("volumes", {})
    }

    assert made == set(VOLUMES)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_an_overlay_speaks_of_services_that_there_are(overlay: Path) -> None:
    named = yaml.safe_load(overlay.read_text())["services"]

    assert named.keys() <= services().keys()


def test_an_overlay_is_chosen_by_the_number_of_nodes() -> None:
    assert fitting_overlays("auto", 1)[0] == "one-node"
    assert fitting_overlays("auto", 3)[0] == "several-nodes"
    assert fitting_overlays("one-node no-ipvs", 3) == ["one-node", "no-ipvs"]


def test_every_way_has_an_overlay_and_every_overlay_of_a_way_a_setting() -> None:
    ways = {way for way in get_args(Via) if via_overlays(way, [])}

    assert ways == set(get_args(Via)) - {"mqtt"}
    assert {f"via-{way}" for way in ways} == {path.stem for path in VIAS}


def test_devices_that_share_a_volume_with_ingest_are_on_its_node() -> None:
    several = yaml.safe_load(FILE.with_name("overlays").joinpath("several-nodes.yml").read_text())
    together = yaml.safe_load(FILE.with_name("overlays").joinpath("same-node.yml").read_text())

    for path in VIAS:
        way = msgspec.convert(path.stem.removeprefix("via-"), Via)
        chosen = via_overlays(way, ["several-nodes", "no-ipvs"])
        assert ("same-node" in chosen) == ("volumes" in yaml.safe_load(path.read_text())), way
        assert "same-node" not in via_overlays(way, ["one-node"])
    where = "deploy", "placement", "constraints"
    assert at(together["services"]["sensors"], *where) == at(several["services"]["ingest"], *where)


@pytest.mark.parametrize("path", VIAS, ids=lambda path: path.stem)
def test_an_overlay_of_a_way_joins_both_sides(path: Path) -> None:
    overlay = yaml.safe_load(path.read_text())
    ingest, sensors = (overlay["services"][name] for name in ("ingest", "sensors"))

    assert sensors["environment"]["SENSORS_VIA"] == path.stem.removeprefix("via-")
    for service, settings in ((ingest, IngestSettings), (sensors, SensorsSettings)):
        known = {one.variable for one in (*declarations(settings), *declarations(InboxSettings))}
        assert {name.removesuffix("_FILE") for name in service["environment"]} <= known | {
            name.removesuffix("_FILE") for name in known
        }
    # Each reaches the other: by one volume at one place, or by a network and a port.
    assert sensors.get("volumes") == ingest.get("volumes")
    assert ("volumes" in ingest) != ("devices" in ingest.get("networks", []))
    assert "ports" not in ingest


def test_what_the_overlays_of_ways_mount_is_what_make_deploy_makes(tmp_path: Path) -> None:
    made = make_materials(DeploySettings(via="tcp"), Vault(tmp_path)).secrets

    for path in VIAS:
        overlay = yaml.safe_load(path.read_text())
        declared = overlay.get("secrets", {})
        services = overlay["services"].values()
        mounted = {one["source"] for service in services for one in service.get("secrets", [])}
        assert mounted == declared.keys() <= made.keys()
        for name, one in declared.items():
            assert one["name"] == f"${{{name.upper().replace('-', '_')}_SECRET}}"


def test_an_unknown_overlay_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(PreflightError, match="nothing is none of no-ipvs, one-node"):
        StackFile(["nothing"], {})


def at(nested: Any, *keys: str) -> Any:
    for key in keys:
        nested = nested[key]
    return nested


def tasks_of_96_megabytes(file: StackFile) -> int:
    return sum(count for size, count in file.reserved_memory() if size == "96M")
