"""`make scale`: more or fewer tasks of one service, without a reading lost.

An ingest that is scaled away leaves for good: what the broker parked for it is drained first by
`python -m ingest leave`, run once in a service of its own with that slot's folder and secrets.
"""

import time
from collections.abc import Iterator

from msgspec.structs import replace

from stack.swarm import SwarmError
from stack.swarm.deployment import Deployment
from stack.swarm.docker import Row
from stack.swarm.loadtesting import SERVICE as LOADTEST
from stack.swarm.loadtesting import run_loadtest
from stack.swarm.readiness import Readiness
from stack.swarm.settings import MOST_APIS
from stack.waiting import holds_within

SCALABLE = ("sensors", "ingest", "api", LOADTEST)
_LEAVE_SECONDS = 600.0
_LOOK_SECONDS = 0.5
_SLOT = "{{.Task.Slot}}"


def scale(deployment: Deployment, service: str, replicas: int) -> None:
    """Let a service have so many tasks, and wait until it has them."""
    _check(deployment, service, replicas)
    if service == LOADTEST:
        run_loadtest(deployment, replicas)
        return
    observer = deployment.observer
    before = observer.running_tasks(service)
    set_replicas(deployment, service, replicas)
    deployment.settings = replace(deployment.settings, **{service: replicas})
    deployment.settings.remember()
    if service == "ingest":
        stay = {task["Slot"] for task in observer.running_tasks(service)}
        for task in before:
            if task["Slot"] not in stay:
                leave(deployment, task["Slot"], node=task["NodeID"])


def set_replicas(deployment: Deployment, service: str, replicas: int) -> None:
    """Do what `docker service scale` does, and wait; nobody leaves, and nothing is remembered."""
    settings, observer = deployment.settings, deployment.observer
    before = {task["Slot"] for task in observer.running_tasks(service)}
    readiness = Readiness(observer, deployment.console, settings.ready_seconds)
    deployment.docker.run("service", "scale", "--detach", f"{settings.stack}_{service}={replicas}")
    readiness.wait_for([service])
    # One that drains still has its slot's names: the next of them would be in its way.
    for slot in before - {task["Slot"] for task in observer.running_tasks(service)}:
        _wait_until_gone(deployment, service, slot)


def leave(deployment: Deployment, slot: int, *, node: str | None = None) -> None:
    """Drain what the broker and the spool hold for an ingest that is no more, and end its session.

    `node` is where its folder is; None where all are in one place.
    """
    docker, stack = deployment.docker, deployment.settings.stack
    service = docker.inspect(f"{stack}_ingest", kind="service")[0]
    _wait_until_gone(deployment, "ingest", slot)
    job = f"{stack}_leave-{slot}"
    deployment.console.print(f"· ingest-{slot} leaves for good", highlight=False)
    if any(row["Name"] == job for row in docker.rows("service", "ls")):
        docker.run("service", "rm", job)
    try:
        docker.run(*_job(job, service, slot, node, stack))
        _wait_for_job(deployment, job)
    finally:
        docker.run("service", "rm", job)


def _check(deployment: Deployment, service: str, replicas: int) -> None:
    settings = deployment.settings
    if service not in SCALABLE:
        raise SwarmError(f"{service} cannot be scaled: {', '.join(SCALABLE)} can")
    if service not in deployment.observer.services():
        raise SwarmError(f"the stack {settings.stack} is not deployed: make deploy")
    if service == "sensors" and replicas > settings.max_sensors:
        raise SwarmError(
            f"the broker lets in the devices of {settings.max_sensors} sensors tasks: "
            f"make deploy with DENYUT_MAX_SENSORS={replicas} first"
        )
    if service == "api" and replicas > MOST_APIS:
        raise SwarmError(f"front shares requests among {MOST_APIS} API tasks, not {replicas}")


def _wait_until_gone(deployment: Deployment, service: str, slot: int) -> None:
    """Wait until no task of a slot runs: names and a spool's lock are its own until then."""
    full_name = f"{deployment.settings.stack}_{service}"

    def is_gone() -> bool:
        rows = deployment.docker.rows("service", "ps", full_name)
        states = [row["CurrentState"] for row in rows if row["Name"] == f"{full_name}.{slot}"]
        return not any(state.startswith("Running") for state in states)

    if not holds_within(is_gone, deployment.settings.ready_seconds, _LOOK_SECONDS):
        raise SwarmError(f"{service}-{slot} still runs: make scale SERVICE={service} N=… first")


def _job(name: str, service: Row, slot: int, node: str | None, stack: str) -> list[str]:
    """Return Docker's arguments for a service that runs once, as the slot's own task would."""
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    where = ["--constraint", f"node.id=={node}"] if node else _constraints(service)
    return [
        "service", "create", "--quiet", "--detach", "--name", name, "--mode", "replicated-job",
        "--restart-condition", "none", "--endpoint-mode", "dnsrr", "--network", f"{stack}_data",
        "--user", container["User"], "--read-only", "--cap-drop", "ALL", "--init",
        "--no-healthcheck", "--limit-memory", "384M", "--limit-pids", "64", *where,
        *_told(container, slot), *_given(container), *_mounted(container),
        container["Image"], "leave", "--client-id", f"ingest-{slot}",
    ]  # fmt: skip


def _constraints(service: Row) -> list[str]:
    placement = service["Spec"]["TaskTemplate"].get("Placement", {})
    return [part for one in placement.get("Constraints", []) for part in ("--constraint", one)]


def _told(container: Row, slot: int) -> Iterator[str]:
    for variable in container["Env"]:
        yield from ("--env", variable.replace(_SLOT, str(slot)))


def _given(container: Row) -> Iterator[str]:
    for kind, name in (("Secrets", "SecretName"), ("Configs", "ConfigName")):
        for one in container.get(kind, []):
            file = one["File"]
            yield f"--{kind.lower()[:-1]}"
            yield (
                f"source={one[name]},target={file['Name']},uid={file['UID']},gid={file['GID']},"
                f"mode={file['Mode']:#o}"
            )


def _mounted(container: Row) -> Iterator[str]:
    for mount in container["Mounts"]:
        source = f"source={mount['Source']}," if mount.get("Source") else ""
        yield from ("--mount", f"type={mount['Type']},{source}target={mount['Target']}")


def _wait_for_job(deployment: Deployment, job: str) -> None:
    deadline_s = time.monotonic() + _LEAVE_SECONDS
    said = 0
    while time.monotonic() < deadline_s:
        lines = deployment.docker.run("service", "logs", "--raw", job).splitlines()
        for line in lines[said:]:
            deployment.console.print(f"    {line}", highlight=False, soft_wrap=True)
        said = max(said, len(lines))
        states = [row["CurrentState"] for row in deployment.docker.rows("service", "ps", job)]
        if any(state.startswith("Complete") for state in states):
            return
        if any(state.startswith(("Failed", "Rejected")) for state in states):
            raise SwarmError(
                f"leaving failed, and what is parked stays parked: {' '.join(lines[-1:])}"
            )
        time.sleep(_LOOK_SECONDS)
    raise SwarmError(
        f"leaving did not end within {_LEAVE_SECONDS:g} s; what is parked stays parked"
    )
