"""The demo: a fleet through the whole pipeline, and the delivery report at its end."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stack import StackError
from stack.local import LocalStack
from stack.services import Fleet, Service
from stack.waiting import holds_within
from stack.ways import MQTT
from telemetry.audit import AuditReport, QosReport, audit
from telemetry.audit.report import render
from telemetry.latency import KINDS, Latencies
from telemetry.ledger import read_ledger

FOLDER = Path("build/demo")
_FIGURES_INTERVAL_MS = "1000"  # a demo is short: ten seconds between two figures show little
_SETTLED_WITHIN_SECONDS = 15.0
_ENDED_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 0.25

_API_WITHIN_SECONDS = 10.0
# What `build/demo.json` calls it, and its name among ingest's metrics.
_COUNTED = {
    "received": "received",
    "written": "written",
    "quarantined": "quarantined",
    "spooled": "spooled",
    "in_flight": "in_flight",
    "dropped": "dropped",
    "repeats": "repeated",
}

IngestCounts = dict[str, int]


class DemoRequest(Struct, frozen=True):
    """What the demo is asked to do."""

    fleet: str | Path
    devices: int
    duration_seconds: float
    qos: str | None
    via: str
    store: str
    report: Path


class DemoReport(Struct):
    """What the demo leaves in its report, `build/demo.json`."""

    devices: int
    via: str
    store: str
    by_qos: dict[str, QosReport]
    ingest: IngestCounts


def run_demo(request: DemoRequest, console: Console) -> int:
    """Run the demo and print its report; return the exit code.

    1 where an acknowledged reading is missing, or the API counts otherwise than the audit.
    """
    with LocalStack(store_url=_fresh_file(), logs=FOLDER / "logs") as local:
        ingest, api, fleet = _start(local, request, console)
        _watch(local, fleet, ingest, request.duration_seconds, console)
        report = _audited(local, ingest)
        counts = _ingest_counts(ingest)
        disagreement = _disagreement(api, report, told_levels=request.via == MQTT)
    _write(request, report, counts)
    return _verdict(report, counts, disagreement, console)


def _fresh_file() -> str:
    """Return the URL of an empty SQLite store, left there for whoever wants to look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = (FOLDER / "denyut.sqlite").resolve()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    return f"sqlite:///{path}"


def _start(
    local: LocalStack, request: DemoRequest, console: Console
) -> tuple[Service, Service, Fleet]:
    way, qos = local.ways.chosen(request.via, request.qos)
    with console.status("starting Mosquitto, ingest and the API"):
        local.start_broker()
        if request.store == "influxdb":
            local.start_influxdb()
        ingest = local.start_ingest(
            ways=[way] if way else (), settings={"INGEST_FIGURES_INTERVAL_MS": _FIGURES_INTERVAL_MS}
        )
        api = local.start_api(settings={"API_FIGURES_INTERVAL_MS": _FIGURES_INTERVAL_MS})
    with console.status(f"connecting {request.devices:,} devices"):
        fleet = local.start_fleet(
            request.fleet,
            devices=request.devices,
            qos=qos,
            way=way,
            duration_seconds=request.duration_seconds,
            settings={"SENSORS_FIGURES_INTERVAL_MS": _FIGURES_INTERVAL_MS},
        )
    return ingest, api, fleet


def _watch(
    local: LocalStack, fleet: Fleet, ingest: Service, duration_seconds: float, console: Console
) -> None:
    """Show how far the run is until the fleet has ended by itself."""
    deadline = time.monotonic() + duration_seconds + _ENDED_WITHIN_SECONDS
    with _progress(duration_seconds, console) as show:
        while fleet.is_running:
            local.check_running()
            show(f"{_ingest_counts(ingest)['written']:,} readings stored")
            if time.monotonic() > deadline:
                raise fleet.failure("did not end in time")
            time.sleep(_POLL_SECONDS)
    local.check_running()


@contextmanager
def _progress(duration_seconds: float, console: Console) -> Iterator[Callable[[str], None]]:
    columns = (
        TextColumn("fleet running"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=duration_seconds)
        began = time.monotonic()

        def show(text: str) -> None:
            elapsed = min(time.monotonic() - began, duration_seconds)
            progress.update(task, completed=elapsed, description=text)

        yield show


def _audited(local: LocalStack, ingest: Service) -> AuditReport:
    """Audit once all is calm; what the broker still holds for ingest gets its time."""
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    holds_within(lambda: not _ingest_counts(ingest)["in_flight"], _SETTLED_WITHIN_SECONDS)
    report = _audit(local)
    while not report.promise_kept and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        report = _audit(local)
    latencies = Latencies()
    latencies.add_encoded(msgspec.json.decode(ingest.get("/latency")[1]))
    for kind, level in zip(KINDS, report.by_qos.values(), strict=False):
        level.latency_ms = latencies.summary(kind)
    return report


def _audit(local: LocalStack) -> AuditReport:
    store = local.open_store()
    try:
        return audit(read_ledger([local.ledger_folder]), store.sequences())
    finally:
        store.close()


def _ingest_counts(ingest: Service) -> IngestCounts:
    """Return ingest's own counts in readings, its levels and reasons added up."""
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(ingest.get("/metrics")[1]):
        name = family.name.removeprefix("denyut_ingest_")
        totals[name] = sum(sample.value for sample in family.samples)
    return {what: int(totals[f"{metric}_readings"]) for what, metric in _COUNTED.items()}


def _disagreement(api: Service, report: AuditReport, *, told_levels: bool) -> str | None:
    """Ask the API over HTTP for the stored counts; return where they differ from the audit's.

    Levels are what devices tell over MQTT alone: by another way all readings count as one.
    """
    audited = {str(qos): level.stored for qos, level in report.by_qos.items()}
    if not told_levels:
        audited = {"all": sum(audited.values())}
    answered: dict[str, int] = {}

    def agrees() -> bool:
        nonlocal answered
        levels = _stored_by_level(api)
        if not told_levels:
            levels = {"all": sum(levels.values())}
        answered = {qos: levels.get(qos, 0) for qos in audited}
        return answered == audited

    # The API may answer from its cache for a moment.
    if holds_within(agrees, _SETTLED_WITHIN_SECONDS, _POLL_SECONDS):
        return None
    return f"the API counts {answered} stored readings by QoS level, the audit {audited}"


def _stored_by_level(api: Service) -> dict[str, int]:
    status, text = api.get("/v1/delivery", _API_WITHIN_SECONDS)
    if status != http.client.OK:
        raise StackError(f"{api.url}/v1/delivery says {status}: {text}")
    levels = msgspec.json.decode(text)["by_qos"]
    return {qos: level.get("stored") or 0 for qos, level in levels.items()}


def _write(request: DemoRequest, report: AuditReport, counts: IngestCounts) -> None:
    by_qos = {str(qos): level for qos, level in report.by_qos.items()}
    written = DemoReport(request.devices, request.via, request.store, by_qos, counts)
    data = msgspec.json.format(msgspec.json.encode(written), indent=2)
    request.report.parent.mkdir(parents=True, exist_ok=True)
    request.report.write_bytes(data + b"\n")


def _verdict(
    report: AuditReport, counts: IngestCounts, disagreement: str | None, console: Console
) -> int:
    console.print(render(report))
    console.print("ingest: " + ", ".join(f"{what} {count:,}" for what, count in counts.items()))
    if disagreement is not None:
        console.print(f"[bold red]{disagreement}[/]")
    if report.promise_kept and disagreement is None:
        console.print("[green]No acknowledged reading is missing, and the API agrees.[/]")
        return 0
    if not report.promise_kept:
        console.print("[bold red]The promise was broken: see the readings named above.[/]")
    return 1
