"""One run of the stack on a real engine: steps under traffic, each ending with the audit.

A step passes when what it asks for was seen, the fleet published at 1,000 readings/s or more
meanwhile, no acknowledged reading is missing over all devices and all steps so far, and the broker
has dropped nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console

from stack import StackError
from stack.swarm.auditing import audit_stack
from stack.swarm.deployment import Deployment
from stack.swarm.docker import Docker
from stack.swarm.scaling import scale
from stack.waiting import holds_within
from telemetry.audit import AuditReport

READINGS_PER_SECOND = 1_000
_SETTLED_WITHIN_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_LINES = "400"
_LINES_SHOWN = 6
_LINE_LENGTH = 300


class StepFailed(StackError):
    """Raised when a step did not see what it must."""


class StepResult(Struct):
    """A line of `build/stack.json`."""

    name: str
    passed: bool = False
    seconds: float = 0.0
    lost: int = 0
    duplicated: int = 0
    failed_requests: int = 0
    readings_per_second: float = 0.0
    seen: list[str] = []
    why: str = ""


class Trial:
    """The stack under test, its traffic, and what its steps found."""

    def __init__(
        self,
        deployment: Deployment,
        console: Console,
        report: Path,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` makes a command ask the trial's engine, and build on what is here."""
        self.deployment = deployment
        self.console = console
        self.environment = environment
        self.results: list[StepResult] = []
        self._report = report
        self._offered = 0
        self._current = StepResult("")
        self.failed_requests = 0

    @property
    def docker(self) -> Docker:
        """The engine's command line."""
        return self.deployment.docker

    def service(self, name: str) -> str:
        """Return a service's name in the Swarm."""
        return f"{self.deployment.settings.stack}_{name}"

    def must(self, met: object, text: str) -> None:
        """Note what was seen; StepFailed where it is not what it has to be."""
        if not met:
            raise StepFailed(text)
        self._current.seen.append(text)

    def step(self, name: str, body: Callable[["Trial"], None]) -> None:
        """Run one step, note how it went, and leave the report up to date."""
        self._current = StepResult(name)
        self.failed_requests = 0
        began_s = time.monotonic()
        with self.console.status(name):
            try:
                body(self)
                self._current.passed = True
            except StackError as error:
                self._current.why = str(error)
                self._keep_logs(name)
        self._current.seconds = round(time.monotonic() - began_s, 1)
        self._current.failed_requests = self.failed_requests
        self.results.append(self._current)
        self._tell()
        self._write()

    @contextmanager
    def traffic(
        self, sensors: int = 1, *, least_per_second: int = READINGS_PER_SECOND
    ) -> Iterator[None]:
        """Let so many sensors tasks publish meanwhile; afterwards stop them, and audit."""
        scale(self.deployment, "sensors", sensors)
        # From when the task was made, and not from when it was healthy: it publishes before.
        created = self.deployment.observer.running_tasks("sensors")[0]["CreatedAt"]
        began = datetime.fromisoformat(created)
        yield
        seconds = (datetime.now(UTC) - began).total_seconds()
        scale(self.deployment, "sensors", 0)
        self._audit(seconds, least_per_second)

    def wait(self, seconds: float, holds: Callable[[], object], text: str) -> None:
        """Wait until a condition holds; StepFailed where it does not in time."""
        began_s = time.monotonic()
        met = holds_within(holds, seconds, _LOOK_SECONDS)
        self.must(met, f"{text} (after {time.monotonic() - began_s:.0f} s)")

    def let_publish(self, seconds: float) -> None:
        """Let the traffic go on for a while."""
        time.sleep(seconds)

    def _audit(self, seconds: float, least_per_second: int) -> None:
        report = self._settled_audit()
        offered = sum(level.offered for level in report.by_qos.values())
        current = self._current
        current.readings_per_second = round((offered - self._offered) / seconds, 1)
        self._offered = offered
        current.lost = report.by_qos[1].lost + report.by_qos[2].lost
        current.duplicated = sum(level.duplicated for level in report.by_qos.values())
        self.must(
            current.readings_per_second >= least_per_second,
            f"the fleet published {current.readings_per_second:,.0f} readings/s",
        )
        self.must(report.promise_kept, f"{current.lost:,} acknowledged readings are missing")
        dropped = self.group_figures().get("denyut_ingest_broker_dropped_messages_total", 0)
        self.must(not dropped, f"the broker dropped {dropped:.0f} messages")

    def _settled_audit(self) -> AuditReport:
        """Return the audit once all that was on its way has arrived, or will not any more."""
        deadline_s = time.monotonic() + _SETTLED_WITHIN_SECONDS
        holds_within(self._is_settled, _SETTLED_WITHIN_SECONDS, _LOOK_SECONDS)
        while True:
            is_last = time.monotonic() > deadline_s
            try:
                report = self.audit()
            except StackError:
                # A store that is busy, as with its minutes, is asked again.
                if is_last:
                    raise
                continue
            if report.promise_kept or is_last:
                return report

    def audit(self) -> AuditReport:
        """Return the audit over all devices since the stack began."""
        _kept, told = audit_stack(self.deployment, as_json=True)
        return msgspec.json.decode(told, type=AuditReport)

    def group_figures(self) -> dict[str, float]:
        """Return the sums of all ingest tasks' metrics, by name without labels."""
        sums: dict[str, float] = {}
        for task in self.deployment.observer.running_tasks("ingest"):
            container = task["Status"]["ContainerStatus"]["ContainerID"]
            for line in self.page(container, 9101, "/metrics").splitlines():
                if line and not line.startswith("#"):
                    name, _space, value = line.rpartition(" ")
                    bare = name.partition("{")[0]
                    sums[bare] = sums.get(bare, 0.0) + float(value)
        return sums

    def page(self, container: str, port: int, path: str) -> str:
        """Return a page that a service shows inside its own container."""
        script = (
            "import urllib.request, sys; "
            f"sys.stdout.write(urllib.request.urlopen('http://127.0.0.1:{port}{path}').read().decode())"
        )
        return self.docker.run("exec", container, "/opt/venv/bin/python", "-c", script)

    def _is_settled(self) -> bool:
        figures = self.group_figures()
        held = ("denyut_ingest_in_flight_readings", "denyut_ingest_spooled_readings")
        return not any(figures.get(name, 0.0) for name in held)

    def _keep_logs(self, step: str) -> None:
        """Leave what the engine and every service said beside the report: the engine is emptied."""
        folder = self._report.parent / "stack-logs" / step
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.deployment.observer.services():
            service = self.service(name)
            tasks = self.docker.call("service", "ps", "--no-trunc", service).stdout
            logs = self.docker.call("service", "logs", "--timestamps", "--tail", _LINES, service)
            text = f"{tasks}\n{logs.stdout}{logs.stderr}"
            (folder / f"{name}.log").write_text(text, encoding="utf-8")
            # The folder may be gone with the machine when somebody reads this.
            for line in (logs.stdout + logs.stderr).splitlines()[-_LINES_SHOWN:]:
                self.console.print(line[:_LINE_LENGTH], style="dim", markup=False, highlight=False)
        self.console.print(f"    what was logged is in {folder}", style="dim", highlight=False)

    def _tell(self) -> None:
        current = self._current
        word = "[green]passed[/]" if current.passed else "[bold red]FAILED[/]"
        rate = (
            f", {current.readings_per_second:,.0f} readings/s"
            if current.readings_per_second
            else ""
        )
        self.console.print(
            f"{current.name}: {word} in {current.seconds:.0f} s{rate}", highlight=False
        )
        for line in current.seen:
            self.console.print(f"    {line}", style="dim", markup=False, highlight=False)
        if current.why:
            self.console.print(f"    {current.why}", style="red", markup=False, highlight=False)

    def _write(self) -> None:
        self._report.parent.mkdir(parents=True, exist_ok=True)
        data = msgspec.json.encode({"steps": self.results})
        self._report.write_bytes(msgspec.json.format(data) + b"\n")
