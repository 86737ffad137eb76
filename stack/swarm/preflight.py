"""What must hold before a deployment changes anything; each check says in one line what to do."""

import re
import socket
from collections.abc import Iterable

from stack.swarm import PreflightError
from stack.swarm.docker import Docker, DockerError, Row
from stack.swarm.settings import DeploySettings

_PULL_SECONDS = 600.0
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def check_engine(docker: Docker) -> Row:
    """Return what the engine says of itself; PreflightError unless it manages a Swarm."""
    try:
        found = docker.rows("info")[0]
    except DockerError as error:
        raise PreflightError(
            f"no Docker engine answers: start it, or set DOCKER_HOST ({error})"
        ) from error
    swarm: Row = found.get("Swarm") or {}
    if swarm.get("LocalNodeState") != "active":
        raise PreflightError("this engine is in no Swarm: docker swarm init")
    if not swarm.get("ControlAvailable"):
        raise PreflightError("this node is no manager of its Swarm: deploy from one that is")
    return found


def has_no_new_privileges(docker: Docker, image: str) -> bool:
    """Whether the engine forbids every container to gain privileges, as one of ours tells.

    A stack file cannot ask for it, and an older engine does not say what it is set to.
    """
    script = "print(open('/proc/self/status').read())"
    told = docker.run(
        "run", "--rm", "--network", "none", "--log-driver", "none", "--entrypoint",
        "/opt/venv/bin/python", image, "-S", "-E", "-c", script,
    )  # fmt: skip
    return re.search(r"^NoNewPrivs:\s+1$", told, re.MULTILINE) is not None


def check_ports(docker: Docker, settings: DeploySettings) -> None:
    """Raise PreflightError where a port that the stack publishes is somebody else's."""
    for variable, port in {
        "DENYUT_HTTPS_PORT": settings.https_port,
        "DENYUT_MQTT_PORT": settings.mqtt_port,
    }.items():
        holder = _holder(docker, port)
        if holder is not None and not holder.startswith(f"{settings.stack}_"):
            raise PreflightError(
                f"port {port} is taken by {holder}: free it, or choose another with {variable}"
            )


def check_memory(info: Row, needed_bytes: int, nodes: int) -> None:
    """Raise PreflightError where the reservations do not fit into all nodes' memory, about."""
    there = int(info["MemTotal"]) * nodes
    if needed_bytes > there:
        raise PreflightError(
            f"the tasks reserve {needed_bytes >> 20:,} MB and there are {there >> 20:,} MB: "
            "ask for fewer tasks, or add a node"
        )


def check_images(docker: Docker, images: Iterable[str], registry: str) -> None:
    """Have every image on this node, or raise PreflightError; ours without a registry are built."""
    for image in sorted(images):
        if docker.exists("image", image):
            continue
        if image.startswith("denyut/") and not registry:
            raise PreflightError(f"the image {image} is not here: make images")
        try:
            docker.run("pull", "--quiet", image, timeout_seconds=_PULL_SECONDS)
        except DockerError as error:
            raise PreflightError(
                f"the image {image} is not here and cannot be had: {error}"
            ) from error


def memory_bytes(text: str) -> int:
    """Return a size of the stack file, as `256M`, in bytes."""
    found = re.fullmatch(r"(\d+)([KMG]?)B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise PreflightError(f"{text!r} is no size: as in 256M")
    return int(found[1]) * _UNITS[found[2].upper()]


def _holder(docker: Docker, port: int) -> str | None:
    """Return who has a port: a service of the Swarm, else a program on this machine."""
    for row in docker.rows("service", "ls"):
        if f":{port}->" in row["Ports"]:
            return str(row["Name"])
    for row in docker.rows("ps"):
        if f":{port}->" in row["Ports"]:
            return str(row["Names"])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104
        except OSError:
            return "another program"
    return None
