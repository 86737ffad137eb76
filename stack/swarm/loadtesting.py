"""The load test of a stack: it runs when it is asked for, ends by itself, and is not remembered."""

import os
from collections.abc import Iterable, Iterator, Mapping

from stack.swarm import SwarmError
from stack.swarm.deployment import Deployment
from stack.swarm.materials import MOST_LOADTESTS
from stack.swarm.preflight import check_images
from stack.swarm.readiness import Readiness

SERVICE = "loadtest"
_PREFIX = "LOADTEST_"
_TASKS = "LOADTEST_TASKS"
# What the stack file says of it; a secret, above all, is never told by a variable.
_GIVEN = frozenset(
    f"{_PREFIX}{name}"
    for name in (
        "SLOT", "TASKS", "TARGET", "CA_FILE", "API_KEY", "API_KEY_FILE", "BROKER_HOST",
        "BROKER_PORT", "TLS_CA_FILE", "TLS_CERTIFICATE_FILE", "TLS_KEY_FILE", "FLEET_KEY",
        "FLEET_KEY_FILE", "RESULTS_DIR", "MASTER_HOST", "MASTER_PORT", "UI",
    )
)  # fmt: skip


def run_loadtest(
    deployment: Deployment, tasks: int, environment: Mapping[str, str] = os.environ
) -> None:
    """Begin a load test of so many tasks, in the place of one that runs; with none, end it."""
    settings, docker = deployment.settings, deployment.docker
    service = f"{settings.stack}_{SERVICE}"
    if tasks > MOST_LOADTESTS:
        raise SwarmError(f"the broker lets in the publishers of {MOST_LOADTESTS} load-test tasks")
    readiness = Readiness(deployment.observer, deployment.console, settings.ready_seconds)
    if not tasks:
        docker.run("service", "scale", "--detach", f"{service}=0")
        readiness.wait_for([SERVICE])
        return
    check_images(docker, [settings.image(SERVICE)], settings.registry)
    spec = docker.inspect(service, kind="service")[0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    docker.run(
        # Also one with as many tasks as before shall begin anew: only `--force` does that.
        "service", "update", "--detach", "--quiet", "--force", "--replicas", str(tasks),
        *told(tasks, environment, spec.get("Env", [])), service,
    )  # fmt: skip
    readiness.wait_for([SERVICE])
    deployment.console.print(
        f"· its progress and verdict: docker service logs --raw --follow {service}; its tables and "
        f"report: the volume {settings.stack}_loadtest-data",
        soft_wrap=True,
        highlight=False,
    )


def told(tasks: int, environment: Mapping[str, str], before: Iterable[str]) -> Iterator[str]:
    """Yield Docker's arguments: the caller's LOADTEST_… come, and those of an earlier run go."""
    wanted = {name: text for name, text in environment.items() if name.startswith(_PREFIX)}
    wanted = {name: text for name, text in wanted.items() if name not in _GIVEN}
    for name in sorted({one.partition("=")[0] for one in before}):
        if name.startswith(_PREFIX) and name not in _GIVEN | wanted.keys():
            yield from ("--env-rm", name)
    for name, text in sorted({**wanted, _TASKS: str(tasks)}.items()):
        yield from ("--env-add", f"{name}={text}")
