"""`make test-stack`: the stack on a real engine, step by step; leaves `build/stack.json`."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.images import ImageBuilder, ImagesRequest, build_images
from stack.interrupts import run_command
from stack.swarm.deployment import Deployment
from stack.swarm.docker import Docker
from stack.swarm.settings import DeploySettings
from tests.stack import hardening, page, steps
from tests.stack.engine import start_engine
from tests.stack.parts import Parts, prepare_parts
from tests.stack.trial import Trial

REPORT = Path("build/stack.json")
STATE = Path("build/stack")
FLEET = Path(__file__).with_name("fleet.toml")
_DEVICES = 250
_FAILED, _REFUSED, _INTERRUPTED = 1, 2, 130

application = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)

ALL: tuple[Callable[[Trial], None], ...] = (
    *steps.STEPS[:2],
    hardening.refusals,
    hardening.containers,
    *steps.STEPS[2:-1],
    hardening.mutual_tls,
    hardening.secrets,
    *steps.STEPS[-1:],
    steps.by_folder,
    page.guide,
)
# For these there is no time in every run: STEPS=by_tcp.
ON_REQUEST = (steps.by_tcp,)


@application.command()
def run(
    only: Annotated[
        str, typer.Option(help="steps besides deploy, by name: update_api,roll_back")
    ] = "",
    list_them: Annotated[bool, typer.Option("--list", help="name the steps and stop")] = False,
    report: Annotated[Path, typer.Option(help="where the results are left")] = REPORT,
) -> None:
    """Deploy the stack on a real engine and try it; exit code 1 where a step fails."""
    console = Console()
    chosen = _chosen(only)
    if list_them:
        for step in chosen:
            console.print(f"{step.__name__:<22} {(step.__doc__ or '').strip()}", highlight=False)
        return
    passed = _run(chosen, console, report)
    raise typer.Exit(0 if passed else _FAILED)


def _run(chosen: list[Callable[[Trial], None]], console: Console, report: Path) -> bool:
    shutil.rmtree(STATE, ignore_errors=True)
    with start_engine(lambda line: console.print(f"· {line}", highlight=False)) as engine:
        parts = prepare_parts(engine.docker, lambda line: console.print(f"· {line}"))
        _build(engine.docker, parts, console)
        deployment = Deployment(_settings(parts), Docker(engine.variables), console)
        environment = {**engine.variables, "BASE": parts.python}
        trial = Trial(deployment, console, report, environment)
        for step in chosen:
            trial.step(step.__name__, step)
            if step is steps.deploy and not trial.results[-1].passed:
                break
    failed = [result for result in trial.results if not result.passed]
    if failed:
        console.print(f"[bold red]{len(failed)} steps failed[/]")
        # Once more: of a long log often the end alone is kept.
        for result in failed:
            console.print(f"{result.name}: {result.why}", markup=False, highlight=False)
    else:
        console.print(f"[green]all {len(trial.results)} steps passed[/]; {report}")
    return not failed


def _build(docker: ImageBuilder, parts: Parts, console: Console) -> None:
    with console.status("building images") as status:
        build_images(
            docker,
            ImagesRequest(base=parts.python),
            lambda service, step: status.update(f"building {service}: {step}"),
        )


def _settings(parts: Parts) -> DeploySettings:
    return DeploySettings(
        stack="trial",
        state_dir=str(STATE.resolve()),
        influxdb_image=parts.influxdb,
        front_image=parts.front,
        **({"grafana_image": parts.grafana} if parts.grafana else {"grafana": 0}),
        fleet=str(FLEET),
        devices=_DEVICES,
        https_port=_free_port(),
        mqtt_port=_free_port(),
        sensors=0,
        ledger=True,
        ready_seconds=240,
        # Shorter than where a stack stays for months: most of a trial would be waiting.
        health_interval_ms=2_000,
        update_monitor_seconds=6,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _chosen(only: str) -> list[Callable[[Trial], None]]:
    if not only:
        return list(ALL)
    names = {"deploy", *only.split(",")}
    known = {step.__name__ for step in (*ALL, *ON_REQUEST)}
    if names - known:
        raise typer.BadParameter(f"{', '.join(sorted(names - known))}: {', '.join(sorted(known))}")
    return [step for step in (*ALL, *ON_REQUEST) if step.__name__ in names]


def main() -> None:
    run_command(application, failed=_REFUSED)


if __name__ == "__main__":
    main()
