"""`make undeploy`: every service stops in good order; data and secrets stay unless asked for."""

import shutil

from stack.swarm import SwarmError
from stack.swarm.deployment import Deployment
from stack.swarm.docker import Docker, DockerError
from stack.swarm.objects import Objects
from stack.waiting import holds_within

_GONE_WITHIN_SECONDS = 120.0
_LOOK_SECONDS = 0.5
VOLUMES = (
    "broker-data",
    "influxdb-data",
    "ingest-data",
    "sensors-data",
    "grafana-data",
    "loadtest-data",
    "ways-data",
)


def undeploy(deployment: Deployment, *, with_data: bool) -> None:
    """Remove the stack, and wait until the last container and network are gone."""
    docker, stack = deployment.docker, deployment.settings.stack
    docker.run("stack", "rm", stack)
    _wait_until_gone(deployment)
    Objects(docker, stack).remove_all()
    if not with_data:
        deployment.console.print(
            f"· stopped; readings are in this engine's volumes, secrets in "
            f"{deployment.settings.folder}",
            highlight=False,
            soft_wrap=True,
        )
        return
    for name in VOLUMES:
        _remove_volume(docker, f"{stack}_{name}")
    shutil.rmtree(deployment.settings.folder, ignore_errors=True)
    deployment.console.print("· stopped, and readings and secrets are removed", highlight=False)


def _remove_volume(docker: Docker, volume: str) -> None:
    """Remove a volume, and first what has ended and still holds it.

    Of an ingest that has left for good Swarm forgets the job, and keeps its container.
    """
    if not docker.exists("volume", volume):
        return
    ended = ("--filter", "status=exited", "--filter", f"volume={volume}")
    containers = docker.run("ps", "--all", "--quiet", *ended).split()
    if containers:
        docker.run("rm", *containers)
    docker.run("volume", "rm", volume)


def _wait_until_gone(deployment: Deployment) -> None:
    label = f"label=com.docker.stack.namespace={deployment.settings.stack}"
    with deployment.console.status("waiting until every task has ended"):
        gone = holds_within(
            lambda: not _left(deployment, label), _GONE_WITHIN_SECONDS, _LOOK_SECONDS
        )
    if not gone:
        raise SwarmError(f"not gone within {_GONE_WITHIN_SECONDS:g} s: docker ps --filter {label}")


def _left(deployment: Deployment, label: str) -> bool:
    docker = deployment.docker
    try:
        containers = docker.run("ps", "--all", "--quiet", "--filter", label)
        networks = docker.run("network", "ls", "--quiet", "--filter", label)
    except DockerError:
        return True
    return bool(containers.strip() or networks.strip())
