"""The steps of `make test-stack` in their order, but for those on security (`hardening.py`)."""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stack.swarm import NotReady, PreflightError
from stack.swarm.backup import backup, restore
from stack.swarm.docker import DockerError
from stack.swarm.loadtesting import run_loadtest
from stack.swarm.readiness import Readiness
from stack.swarm.removal import undeploy
from stack.swarm.rotation import USUAL, rotate
from stack.swarm.scaling import leave, scale, set_replicas
from stack.swarm.settings import Via
from stack.swarm.status import parked_slots
from stack.swarm.vault import Vault
from tests.stack.httpload import Target, http_load
from tests.stack.trial import READINGS_PER_SECOND, StepFailed, Trial

REQUESTS_PER_SECOND = 200
READY_SECONDS = 60.0
_CHANGE_SECONDS = 120.0
_ON_ITS_WAY_MS = 2_000  # a reading is in the store long before


def refuse(trial: Trial) -> None:
    """What is missing is one line that says what to do, before anything is deployed."""
    settings = trial.deployment.settings
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for change, said in (
            ({"https_port": port}, f"port {port} is taken by another program"),
            ({"devices_file": "/nowhere/devices"}, "there is no such file"),
            ({"authority_certificate": "/nowhere/ca.pem"}, "belong together"),
            ({"api": 1_000}, "ask for fewer tasks, or add a node"),
            ({"registry": "127.0.0.1:1"}, "is not here and cannot be had"),
            ({"version": "0.0.0-never"}, "is not here: make images"),
            ({"overlays": "nothing"}, "is none of"),
        ):
            trial.deployment.settings = msgspec.structs.replace(settings, **change)
            _see_refused(trial, said)
    trial.deployment.settings = settings
    trial.docker.run("swarm", "leave", "--force")
    try:
        _see_refused(trial, "this engine is in no Swarm: docker swarm init", in_swarm=False)
    finally:
        trial.docker.run("swarm", "init", "--advertise-addr", "127.0.0.1")


def deploy(trial: Trial) -> None:
    """The whole stack from nothing, with the images present."""
    began_s = time.monotonic()
    trial.deployment.deploy()
    seconds = time.monotonic() - began_s
    trial.must(
        seconds <= READY_SECONDS, f"ready after {seconds:.0f} s (at most {READY_SECONDS:.0f})"
    )
    with trial.traffic():
        trial.let_publish(15)


def deploy_again(trial: Trial) -> None:
    """A second deployment with the same settings changes no service."""
    with trial.traffic():
        # What `make scale` did is remembered: the traffic goes on.
        before = _tasks(trial)
        again(trial)
        changed = before ^ _tasks(trial)
        trial.must(not changed, f"a second deployment replaced {len(changed)} tasks")
        trial.let_publish(5)


def scale_ingest(trial: Trial) -> None:
    """`make scale` of ingest, 1 to 3 to 1, at rate."""
    with trial.traffic():
        trial.let_publish(3)
        scale(trial.deployment, "ingest", 3)
        trial.wait(30, lambda: _connected(trial) == 3, "three ingests share the load")
        trial.let_publish(8)
        scale(trial.deployment, "ingest", 1)
        trial.must(not parked_slots(trial.deployment), "no ingest is left in the group")
        trial.let_publish(3)


def scale_ingest_plainly(trial: Trial) -> None:
    """Row 28: `docker service scale`, which knows nothing of leaving; status names it."""
    with trial.traffic():
        scale(trial.deployment, "ingest", 3)
        trial.let_publish(5)
        set_replicas(trial.deployment, "ingest", 1)
        trial.wait(30, lambda: len(parked_slots(trial.deployment)) == 2, "status names both")
        trial.let_publish(3)
        for slot in sorted(parked_slots(trial.deployment)):
            leave(trial.deployment, slot)
        trial.must(not parked_slots(trial.deployment), "both have left")
        trial.let_publish(2)


def scale_sensors(trial: Trial) -> None:
    """`make scale` of sensors, 1 to 4; each slot's devices are its own."""
    with trial.traffic():
        scale(trial.deployment, "sensors", 4)
        trial.let_publish(15)
        scale(trial.deployment, "sensors", 1)
        trial.let_publish(3)


def update_api(trial: Trial) -> None:
    """A rolling update of the API under HTTP load: no request fails."""
    with trial.traffic():
        scale(trial.deployment, "api", 3)
        with http_load(_target(trial), REQUESTS_PER_SECOND) as load:
            trial.let_publish(3)
            _update(trial, "api", "--force")
            trial.let_publish(6)
        trial.failed_requests = len(load.failures)
        trial.must(
            # How many there are hangs on the machine, which does all of it at once.
            load.per_second >= REQUESTS_PER_SECOND * 0.25,
            f"{load.per_second:.0f} of {REQUESTS_PER_SECOND} requests/s; "
            f"{load.told_again} were told to come again, and did",
        )
        trial.must(
            not load.failures,
            f"{len(load.failures)} of {load.requests:,} requests failed {load.failures[:3] or ''}",
        )
        scale(trial.deployment, "api", 2)


def load_test(trial: Trial) -> None:
    """The load test on demand: it asks by way of `front`, ends by itself, and leaves a verdict."""
    with trial.traffic():
        told = {"LOADTEST_DURATION_SECONDS": "15", "LOADTEST_READERS": "5"}
        run_loadtest(trial.deployment, 1, told)
        trial.wait(_CHANGE_SECONDS, lambda: _loadtest_state(trial), "the load test has ended")
        # Whether its objectives are met is for a machine that does not do all else meanwhile.
        said = trial.docker.run("service", "logs", "--raw", trial.service("loadtest"))
        trial.must("tables and verdict: /data" in said, "it leaves a verdict")


def update_ingest(trial: Trial) -> None:
    """A rolling update of ingest at full rate."""
    with trial.traffic():
        scale(trial.deployment, "ingest", 2)
        trial.let_publish(3)
        _update(trial, "ingest", "--force")
        trial.let_publish(3)
        scale(trial.deployment, "ingest", 1)


def kill_ingest(trial: Trial) -> None:
    """A killed task's replacement takes its slot, its session and its spool over."""
    with trial.traffic():
        trial.let_publish(3)
        before = trial.deployment.observer.running_tasks("ingest")[0]
        trial.docker.run("kill", "--signal", "KILL", _container(before))
        trial.wait(
            _CHANGE_SECONDS,
            lambda: _replacement(trial, "ingest", before["ID"]) == before["Slot"],
            f"a new task runs in slot {before['Slot']}",
        )
        trial.let_publish(3)


def kill_broker(trial: Trial) -> None:
    """The broker's task is stopped by the engine; devices and ingest come back to the next one."""
    with trial.traffic():
        trial.let_publish(3)
        before = trial.deployment.observer.running_tasks("broker")[0]
        trial.docker.run("stop", _container(before))
        trial.wait(
            _CHANGE_SECONDS,
            lambda: _replacement(trial, "broker", before["ID"]) is not None,
            "a new broker runs",
        )
        trial.let_publish(10)


def roll_back(trial: Trial) -> None:
    """An update to a broken image comes back by itself, and nothing is lost meanwhile."""
    image = trial.deployment.observer.services()["ingest"].image
    broken = f"{image.rpartition(':')[0]}:broken"
    # The set-up's image in ingest's name: it ends at once, as it is not told what to do.
    trial.docker.run("tag", image.replace("/ingest:", "/setup:"), broken)
    with trial.traffic():
        trial.let_publish(2)
        readiness = _readiness(trial)
        trial.docker.run(
            "service", "update", "--detach", "--image", broken, "--no-resolve-image",
            trial.service("ingest"),
        )  # fmt: skip
        try:
            readiness.wait_for(["ingest"])
        except NotReady as error:
            trial.must("failed, it runs as before" in str(error), str(error))
        else:
            raise StepFailed("the broken image was taken")
        state = trial.deployment.observer.services()["ingest"]
        trial.must(state.image == image, f"ingest runs {state.image}")
        trial.wait(60, lambda: _connected(trial) == 1, "ingest is back at work")
        trial.let_publish(2)


def rotate_secrets(trial: Trial) -> None:
    """New tokens, passwords and certificates while the fleet publishes."""
    vault = Vault(trial.deployment.settings.folder)
    before = {name: vault.find(name) for name in ("ingest-token", "ingest-password", "broker-key")}
    # The fleet is given its new key as well: while its task is replaced nothing is offered.
    with trial.traffic(least_per_second=READINGS_PER_SECOND // 2):
        trial.let_publish(2)
        rotate(trial.deployment, USUAL)
        trial.let_publish(8)
    for name, secret in before.items():
        trial.must(vault.find(name) != secret, f"{name} is a new one")


def back_up(trial: Trial) -> None:
    """A backup under traffic holds all of before; one of afterwards brings everything back."""
    folder = trial.deployment.settings.folder.parent
    early, late = folder / "early.tar", folder / "late.tar"
    with trial.traffic():
        trial.let_publish(3)
        began_ms = time.time_ns() // 1_000_000 - _ON_ITS_WAY_MS
        backup(trial.deployment, early)
        trial.let_publish(5)
    backup(trial.deployment, late)
    _see_refused_restore(trial, early)
    restore(trial.deployment, early, replace=True)
    lost = [one for one in trial.audit().findings if one.kind == "lost" and one.qos]
    trial.must(lost, f"{len(lost):,} readings came after the backup under traffic began")
    older = sum(one.time_ms < began_ms for one in lost)
    trial.must(not older, f"{older} of before are missing in what it brought back")
    restore(trial.deployment, late, replace=True)
    trial.must(trial.audit().promise_kept, "the later backup brought back every reading")


def take_away(trial: Trial) -> None:
    """`make undeploy` keeps readings: deployed anew, the audit is the same."""
    undeploy(trial.deployment, with_data=False)
    trial.must(not trial.deployment.observer.services(), "no service is left")
    again(trial)
    with trial.traffic():
        trial.let_publish(10)


def by_folder(trial: Trial) -> None:
    """The devices' readings go through a volume that ingest shares with them."""
    _by(trial, "folder")


def by_tcp(trial: Trial) -> None:
    """The devices' readings go straight to ingest, over TCP with TLS and a key."""
    _by(trial, "tcp")


def _by(trial: Trial, via: Via) -> None:
    again(trial, via=via)
    with trial.traffic():
        trial.let_publish(5)
        came = _messages_by(trial, via)
        trial.must(came, f"{came:,.0f} messages came by {via}")


def _see_refused_restore(trial: Trial, file: Path) -> None:
    try:
        restore(trial.deployment, file, replace=False)
    except DockerError as error:
        trial.must("--replace" in str(error), str(error))
    else:
        raise StepFailed("what is stored was replaced without a word")


def _see_refused(trial: Trial, said: str, *, in_swarm: bool = True) -> None:
    try:
        trial.deployment.deploy()
    except PreflightError as error:
        trial.must(said in str(error) and "\n" not in str(error), str(error))
    else:
        raise StepFailed(f"deployed, where it should have said: {said}")
    if in_swarm:
        made = [
            trial.docker.run(kind, "ls", "-q").split() for kind in ("service", "secret", "config")
        ]
        trial.must(made == [[], [], []], "nothing was half deployed")


def again(trial: Trial, **changes: object) -> None:
    """Deploy with what is remembered, as a person would by the same command, but for changes."""
    settings = trial.deployment.settings
    remembered = type(settings).remembered(
        {"DENYUT_STACK": settings.stack, "DENYUT_STATE_DIR": settings.state_dir}
    )
    trial.deployment.settings = msgspec.structs.replace(remembered, **changes)
    trial.deployment.deploy()


def _update(trial: Trial, service: str, *how: str) -> None:
    readiness = _readiness(trial)
    trial.docker.run("service", "update", "--detach", *how, trial.service(service))
    readiness.wait_for([service])


def _readiness(trial: Trial) -> Readiness:
    deployment = trial.deployment
    return Readiness(deployment.observer, deployment.console, _CHANGE_SECONDS)


def _connected(trial: Trial) -> int:
    """Return how many ingest tasks have received a reading."""
    working = 0
    for task in trial.deployment.observer.running_tasks("ingest"):
        page = trial.page(_container(task), 9101, "/metrics")
        found = re.findall(r"^denyut_ingest_received_readings_total\S* (\S+)$", page, re.MULTILINE)
        working += any(float(value) for value in found)
    return working


def _messages_by(trial: Trial, via: Via) -> float:
    """Return how many messages this ingest, which is the only one, has received by a way."""
    task = trial.deployment.observer.running_tasks("ingest")[0]
    page = trial.page(_container(task), 9101, "/metrics")
    pattern = rf'^denyut_ingest_way_messages_total{{way="{via}"}} (\S+)$'
    return sum(float(value) for value in re.findall(pattern, page, re.MULTILINE))


def _loadtest_state(trial: Trial) -> str | None:
    """Return how the load test ended, None while it runs."""
    rows = trial.docker.rows("service", "ps", trial.service("loadtest"))
    states = [row["CurrentState"].partition(" ")[0].lower() for row in rows]
    return states[0] if states and states[0] in ("complete", "failed") else None


def _replacement(trial: Trial, service: str, before: str) -> int | None:
    for task in trial.deployment.observer.running_tasks(service):
        if task["ID"] != before:
            return int(task["Slot"])
    return None


def _container(task: dict[str, dict[str, dict[str, str]]]) -> str:
    return task["Status"]["ContainerStatus"]["ContainerID"]


def _tasks(trial: Trial) -> set[str]:
    observer = trial.deployment.observer
    return {task["ID"] for name in observer.services() for task in observer.running_tasks(name)}


def _target(trial: Trial) -> Target:
    settings = trial.deployment.settings
    return Target(
        host="127.0.0.1",
        port=settings.https_port,
        path="/v1/devices/meter-00000",
        key=Vault(settings.folder).get("api-key"),
        ca_file=str(settings.folder / "ca.pem"),
    )


STEPS: tuple[Callable[[Trial], None], ...] = (
    refuse,
    deploy,
    deploy_again,
    scale_ingest,
    scale_ingest_plainly,
    scale_sensors,
    update_api,
    load_test,
    update_ingest,
    kill_ingest,
    kill_broker,
    roll_back,
    rotate_secrets,
    back_up,
    take_away,
)
