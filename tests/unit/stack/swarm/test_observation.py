"""What the Swarm says of a service, as it says it: who counts as being there."""

from typing import Any

import pytest

from stack.swarm.docker import Docker
from stack.swarm.observation import Observer, ServiceState

CONTAINER = {"Image": "denyut/loadtest:1"}


def state(condition: str, *tasks: dict[str, Any], wanted: int = 1, forced: int = 0) -> ServiceState:
    service = {
        "Spec": {
            "Name": "denyut_loadtest",
            "Mode": {"Replicated": {"Replicas": wanted}},
            "TaskTemplate": {
                "ContainerSpec": CONTAINER,
                "RestartPolicy": {"Condition": condition},
                "ForceUpdate": forced,
            },
        }
    }
    return Observer(Docker({}), "denyut")._state(service, list(tasks))


def task(
    is_at: str, *, code: int = 0, forced: int = 0, desired: str = "shutdown"
) -> dict[str, Any]:
    return {
        "Spec": {"ContainerSpec": CONTAINER, "ForceUpdate": forced},
        "Status": {"State": is_at, "ContainerStatus": {"ExitCode": code}},
        "DesiredState": desired,
        "CreatedAt": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(("is_at", "code"), [("complete", 0), ("failed", 1)])
def test_a_task_that_runs_once_and_has_ended_lacks_nothing(is_at: str, code: int) -> None:
    found = state("none", task(is_at, code=code))

    assert found.ready
    assert found.line == f"loadtest 1/1 (ended with exit code {code})"


def test_a_task_that_is_to_run_for_ever_and_has_ended_is_missing() -> None:
    assert not state("any", task("complete")).ready


def test_the_end_of_an_earlier_run_is_not_the_end_of_this_one() -> None:
    found = state("none", task("complete"), task("preparing", forced=1), forced=1)

    assert not found.ready


def test_a_run_that_ended_before_nobody_asked_for_one_lacks_nothing() -> None:
    found = state("none", task("complete"), wanted=0)

    assert found.ready
    assert found.line == "loadtest 0/0"


def test_a_task_that_never_began_is_missing_with_its_reason() -> None:
    rejected = task("rejected")
    rejected["Status"]["Err"] = "No such image"

    found = state("none", rejected)

    assert (found.ready, found.why) == (False, "rejected: No such image")
