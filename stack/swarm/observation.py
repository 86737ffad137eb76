"""What the Swarm says of a stack's services: who runs, who does not, and why."""

import json
from typing import Any

from msgspec import Struct

from stack.swarm.docker import Docker, DockerError, Row

_LOG_LINES = "5"
_ENDED_BADLY = frozenset({"rollback_completed", "rollback_paused", "paused"})
_UNDER_WAY = frozenset({"updating", "rollback_started"})
_ENDED = frozenset({"complete", "failed"})


class ServiceState(Struct, frozen=True, kw_only=True):
    """One service as it is now; `why` says what a task that is not there lacks."""

    name: str
    wanted: int
    running: int
    update: str
    update_began: str
    update_message: str
    image: str
    why: str

    @property
    def ready(self) -> bool:
        """Whether every task that is wanted runs, healthy and as the service is described now.

        A task of a service that runs once and is not restarted counts at its end as well.
        """
        return self.running == self.wanted and self.update not in _UNDER_WAY

    @property
    def update_failed(self) -> bool:
        """Whether the latest update was given up."""
        return self.update in _ENDED_BADLY

    @property
    def line(self) -> str:
        """One line for a person."""
        return f"{self.name} {self.running}/{self.wanted}" + (f" ({self.why})" if self.why else "")


class Observer:
    """Looks at the services of one stack."""

    def __init__(self, docker: Docker, stack: str) -> None:
        self._docker = docker
        self._stack = stack

    def services(self) -> dict[str, ServiceState]:
        """Return the stack's services by their names in the stack file, in the order of names."""
        described = self._docker.inspect(*self._ids(), kind="service")
        tasks = self._docker.inspect_those_left(*self._task_ids(), kind="task") if described else []
        by_service: dict[str, list[Row]] = {}
        for task in tasks:
            by_service.setdefault(task["ServiceID"], []).append(task)
        states = (self._state(one, by_service.get(one["ID"], [])) for one in described)
        return {state.name: state for state in sorted(states, key=lambda state: state.name)}

    def running_tasks(self, service: str) -> list[Row]:
        """Return the running tasks of one service, by slot."""
        ids = self._docker.run(
            "service", "ps", "-q", "--no-trunc", "--filter", "desired-state=running",
            f"{self._stack}_{service}",
        ).split()  # fmt: skip
        tasks = self._docker.inspect_those_left(*ids, kind="task")
        return sorted((task for task in tasks if _runs(task)), key=lambda task: task["Slot"])

    def last_words(self, service: str) -> str:
        """Return the last lines that a service logged, as far as they can be had."""
        try:
            return self._docker.run(
                "service", "logs", "--raw", "--tail", _LOG_LINES, f"{self._stack}_{service}",
                timeout_seconds=10,
            ).strip()  # fmt: skip
        except DockerError:
            return ""

    def _ids(self) -> list[str]:
        return self._docker.run(
            "service", "ls", "-q", "--filter", f"label=com.docker.stack.namespace={self._stack}"
        ).split()

    def _task_ids(self) -> list[str]:
        return self._docker.run("stack", "ps", "-q", "--no-trunc", self._stack).split()

    def _state(self, service: Row, tasks: list[Row]) -> ServiceState:
        spec = service["Spec"]
        template = spec["TaskTemplate"]
        update: Row = service.get("UpdateStatus") or {}
        wanted = spec["Mode"].get("Replicated", {}).get("Replicas", 1)
        once = template.get("RestartPolicy", {}).get("Condition") == "none"
        current = [
            task
            for task in tasks
            if (_runs(task) or (once and _has_ended(task))) and _is_as_described(task, template)
        ]
        running = min(len(current), wanted) if once else len(current)
        return ServiceState(
            name=spec["Name"].removeprefix(f"{self._stack}_"),
            wanted=wanted,
            running=running,
            update=update.get("State", ""),
            update_began=update.get("StartedAt", ""),
            update_message=update.get("Message", ""),
            image=template["ContainerSpec"]["Image"].partition("@")[0],
            why=_ends(current[:running]) if running == wanted else self._why(tasks),
        )

    def _why(self, tasks: list[Row]) -> str:
        """Return what the newest task that should run is waiting for, or what ended the last."""
        if not tasks:
            return "no task yet"
        newest = max(tasks, key=lambda task: str(task["CreatedAt"]))
        status = newest["Status"]
        said = status.get("Err") or status.get("Message", "")
        if status["State"] == "starting":
            said = self._health(status) or said
        if status["State"] in ("new", "pending", "preparing", "assigned", "accepted", "ready"):
            before = [task for task in tasks if task["Status"].get("Err")]
            if before:
                last = max(before, key=lambda task: str(task["CreatedAt"]))
                said = str(last["Status"]["Err"])
        return f"{status['State']}: {said}"

    def _health(self, status: Row) -> str:
        """Return what the last health check of a container on this node said."""
        container = status.get("ContainerStatus", {}).get("ContainerID", "")
        try:
            found = self._docker.run("inspect", "--format", "{{json .State.Health}}", container)
            log: list[dict[str, Any]] = (json.loads(found) or {}).get("Log") or []
        except (DockerError, ValueError):
            return ""
        return str(log[-1]["Output"]).strip() if log else "its first health check is to come"


def _runs(task: Row) -> bool:
    return bool(task["Status"]["State"] == "running" and task["DesiredState"] == "running")


def _has_ended(task: Row) -> bool:
    return task["Status"]["State"] in _ENDED


def _ends(tasks: list[Row]) -> str:
    """Return with which exit codes tasks have ended by themselves, if any have."""
    statuses = [task["Status"] for task in tasks if _has_ended(task)]
    codes = {str(status.get("ContainerStatus", {}).get("ExitCode", 0)) for status in statuses}
    return f"ended with exit code {', '.join(sorted(codes))}" if codes else ""


def _is_as_described(task: Row, template: Row) -> bool:
    # A task of before an update still runs while its successor starts; it does not count.
    of_task = task["Spec"]
    return bool(
        _told(of_task["ContainerSpec"]) == _told(template["ContainerSpec"])
        and of_task.get("ForceUpdate", 0) == template.get("ForceUpdate", 0)
    )


def _told(container: Row) -> Row:
    # A task is described without what is empty.
    return {name: value for name, value in container.items() if value}
