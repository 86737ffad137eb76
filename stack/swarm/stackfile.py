"""The stack file with its overlays: which fit this Swarm, what they ask for, a part of them."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from stack.swarm import PreflightError
from stack.swarm.docker import Docker
from stack.swarm.settings import Via

_FOLDER = Path(__file__).parents[1]
_IPVS = Path("/proc/net/ip_vs")
_IN_A_VOLUME: tuple[Via, ...] = ("unix", "unixgram", "folder", "database")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class StackFile:
    """The files that `docker stack deploy` gets, and the variables that stand in them."""

    def __init__(self, overlays: Iterable[str | Path], variables: Mapping[str, str]) -> None:
        self._files = [_FOLDER / "stack.yml", *(_overlay(one) for one in overlays)]
        self._variables = dict(variables)

    def images(self) -> set[str]:
        """Return the images of the services that shall run."""
        return {str(one["image"]) for one in self._services().values() if _replicas(one)}

    def reserved_memory(self) -> Iterator[tuple[str, int]]:
        """Yield each task's reservation as the file says it, and how many such tasks there are."""
        for service in self._services().values():
            reserved = service["deploy"].get("resources", {}).get("reservations", {})
            yield str(reserved.get("memory", "0")), _replicas(service)

    def deploy(self, docker: Docker, stack: str, variables: Mapping[str, str]) -> None:
        """Let Docker bring the Swarm to what the files say."""
        self._deploy(docker, stack, self._files, variables)

    def deploy_only(self, docker: Docker, stack: str, service: str) -> None:
        """Bring up one service, with the networks and volumes that it needs."""
        with TemporaryDirectory() as folder:
            parts = list(self._only(service, Path(folder)))
            self._deploy(docker, stack, parts, {})

    def _deploy(
        self, docker: Docker, stack: str, files: Iterable[Path], variables: Mapping[str, str]
    ) -> None:
        chosen = [argument for file in files for argument in ("-c", str(file))]
        docker.run(
            "stack", "deploy", *chosen, "--resolve-image", "never", stack,
            variables={**self._variables, **variables},
        )  # fmt: skip

    def _only(self, service: str, folder: Path) -> Iterator[Path]:
        needed: dict[str, set[str]] = {"networks": set(), "volumes": set()}
        first = _read(self._files[0])["services"][service]
        needed["networks"].update(first.get("networks", []))
        for volume in first.get("volumes", []):
            if isinstance(volume, str):
                needed["volumes"].add(volume.partition(":")[0])
        for number, path in enumerate(self._files):
            whole = _read(path)
            part = {"version": whole["version"]}
            if service in whole.get("services", {}):
                part["services"] = {service: whole["services"][service]}
            for kind, names in needed.items():
                there = whole.get(kind) or {}
                part[kind] = {name: there[name] for name in names if name in there}
            file = folder / f"{number}.yml"
            file.write_text(yaml.safe_dump(part), encoding="utf-8")
            yield file

    def _services(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for path in self._files:
            for name, service in (_read(path).get("services") or {}).items():
                deploy = {**merged.get(name, {}).get("deploy", {}), **service.get("deploy", {})}
                merged[name] = {**merged.get(name, {}), **service, "deploy": deploy}
        filled: dict[str, Any] = yaml.safe_load(self._fill(yaml.safe_dump(merged)))
        return filled

    def _fill(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self._variables.get(found[1], found[2] or ""), text)


def fitting_overlays(asked: str, nodes: int) -> list[str]:
    """Return the overlays to use: those asked for, or for `auto` those that fit the Swarm."""
    if asked != "auto":
        return asked.split()
    chosen = ["one-node" if nodes == 1 else "several-nodes"]
    # Of an engine elsewhere we cannot know: most have IPVS.
    if _is_local() and not _IPVS.exists():
        chosen.append("no-ipvs")
    return chosen


def via_overlays(via: Via, overlays: Collection[str]) -> list[str]:
    """Return the overlays by which the stack's devices take a way, beside those that were chosen.

    MQTT needs none. Where both sides need one volume, they have to be on one node.
    """
    if via == "mqtt":
        return []
    together = ["same-node"] if via in _IN_A_VOLUME and "several-nodes" in overlays else []
    return [f"via-{via}", *together]


def _is_local() -> bool:
    return os.environ.get("DOCKER_HOST", "unix:").startswith("unix:")


def _overlay(named: str | Path) -> Path:
    path = Path(named) if Path(named).suffix else _FOLDER / "overlays" / f"{named}.yml"
    if not path.is_file():
        there = ", ".join(sorted(one.stem for one in (_FOLDER / "overlays").glob("*.yml")))
        raise PreflightError(f"DENYUT_OVERLAYS: {named} is none of {there}, nor a file")
    return path


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _replicas(service: Mapping[str, Any]) -> int:
    return int(service.get("deploy", {}).get("replicas", 1))
