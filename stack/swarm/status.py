"""`make status`: every service, and who of the group of ingests is gone with readings parked."""

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from stack.swarm import SwarmError
from stack.swarm.deployment import Deployment
from stack.swarm.docker import DockerError, Row
from stack.swarm.observation import ServiceState


class Member(msgspec.Struct, frozen=True):
    """A member of ingest's group as its retained status tells."""

    client_id: str
    state: str


class Group(msgspec.Struct, frozen=True):
    """What `python -m ingest members --json` prints."""

    members: list[Member]
    queued_messages: int | None = None


def print_status(deployment: Deployment) -> bool:
    """Print how the stack is; return whether all is well."""
    states = deployment.observer.services()
    if not states:
        raise SwarmError(f"the stack {deployment.settings.stack} is not deployed: make deploy")
    deployment.console.print(_table(list(states.values())))
    parked = parked_slots(deployment)
    if parked:
        _print_parked(deployment, parked)
    return all(state.ready for state in states.values()) and not parked


def parked_slots(deployment: Deployment) -> dict[int, Group]:
    """Return the slots of ingest that have no task and have not left; empty where none is known."""
    tasks = deployment.observer.running_tasks("ingest")
    group = _group(deployment, tasks)
    if group is None:
        return {}
    stay = {f"ingest-{task['Slot']}" for task in tasks}
    away = [one for one in group.members if one.state == "offline" and one.client_id not in stay]
    slots = (one.client_id.rpartition("-")[2] for one in away)
    return {int(slot): group for slot in slots if slot.isdecimal()}


def _table(states: list[ServiceState]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("service", "tasks", "image", "update", "lacks"):
        table.add_column(heading, overflow="fold")
    for state in states:
        style = "" if state.ready else "red"
        tasks = f"{state.running}/{state.wanted}"
        table.add_row(state.name, tasks, state.image, state.update, state.why, style=style)
    return table


def _group(deployment: Deployment, tasks: list[Row]) -> Group | None:
    """Ask the broker through an ingest task on this node; None where there is none to ask."""
    for task in tasks:
        container = task["Status"].get("ContainerStatus", {}).get("ContainerID", "")
        try:
            told = deployment.docker.run(
                "exec", container, "/opt/venv/bin/python", "-m", "ingest", "members", "--json"
            )
        except DockerError:
            continue
        return msgspec.json.decode(told, type=Group)
    return None


def _print_parked(deployment: Deployment, parked: dict[int, Group]) -> None:
    for slot, group in sorted(parked.items()):
        queued = group.queued_messages
        held = "" if queued is None else f"; the broker holds {queued:,} messages for all sessions"
        deployment.console.print(
            f"! ingest-{slot} is gone and has not left: its share of the readings is parked{held}. "
            f"Drain it: make leave SLOT={slot}",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
