"""The trial's step on another way: what it deploys, and what it does not take for granted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from stack.swarm.settings import DeploySettings
from tests.stack import __main__ as trial_command
from tests.stack import steps
from tests.stack.trial import StepFailed, Trial


class PlannedTrial:
    """Notes what a step asks for, on a Swarm where ingest shows these metrics."""

    def __init__(self, folder: Path, metrics: str) -> None:
        self.done: list[str] = []
        self.settings = DeploySettings(state_dir=str(folder), stack="trial")
        self.settings.remember()
        self._metrics = metrics

    @property
    def deployment(self) -> "PlannedTrial":
        return self

    @property
    def observer(self) -> "PlannedTrial":
        return self

    def deploy(self) -> None:
        self.done.append(f"deploy via {self.settings.via}")

    def running_tasks(self, _service: str) -> list[dict[str, Any]]:
        return [{"Status": {"ContainerStatus": {"ContainerID": "c"}}}]

    def page(self, _container: str, _port: int, _path: str) -> str:
        return self._metrics

    @contextmanager
    def traffic(self) -> Iterator[None]:
        yield
        self.done.append("audit")

    def let_publish(self, _seconds: float) -> None:
        self.done.append("publish")

    def must(self, met: object, text: str) -> None:
        if not met:
            raise StepFailed(text)


def test_the_step_switches_the_devices_to_the_folder_and_audits(tmp_path: Path) -> None:
    metrics = 'denyut_ingest_way_messages_total{way="folder"} 12.0\n'
    trial = PlannedTrial(tmp_path, metrics)

    steps.by_folder(cast("Trial", trial))

    assert trial.done == ["deploy via folder", "publish", "audit"]


def test_the_step_fails_where_the_readings_still_come_by_the_broker(tmp_path: Path) -> None:
    metrics = (
        'denyut_ingest_way_messages_total{way="mqtt"} 12.0\n'
        'denyut_ingest_way_messages_total{way="tcp"} 0.0\n'
    )

    with pytest.raises(StepFailed, match="0 messages came by tcp"):
        steps.by_tcp(cast("Trial", PlannedTrial(tmp_path, metrics)))


def test_a_run_has_the_folder_and_the_other_ways_when_they_are_asked_for() -> None:
    every_run = trial_command._chosen("")

    assert steps.by_folder in every_run
    assert steps.by_tcp not in every_run
    assert trial_command._chosen("by_tcp") == [steps.deploy, steps.by_tcp]
