"""The images' command line: `make images`, or `python -m stack.images`."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import telemetry
from stack.images import BASE, Built, ImageBuilder, ImageError, ImagesRequest, build_images
from stack.interrupts import run_command

_FAILED, _INTERRUPTED = 1, 130
_MEGABYTE = 1_000_000
_PUSH_SECONDS = 600.0

application = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@application.command()
def images(
    version: Annotated[str, typer.Option(help="their tag")] = telemetry.__version__,
    base: Annotated[str, typer.Option(help="the image of Python on which they stand")] = BASE,
    registry: Annotated[str, typer.Option(help="whose names they get, as r.example:5000")] = "",
    push: Annotated[bool, typer.Option(help="push them to the registry")] = False,
) -> None:
    """Build every service's image and say how large each is."""
    if push and not registry:
        raise ImageError("PUSH=1 needs REGISTRY=…, where the images go")
    console = Console()
    request = ImagesRequest(version=version, base=base, registry=registry)
    builder = ImageBuilder()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(f"looking for {base}")
        built = build_images(
            builder,
            request,
            lambda service, step: progress.update(task, description=f"{service} {step}"),
        )
        for image in built.values() if push else ():
            progress.update(task, description=f"pushing {image.name}")
            builder.run("push", "--quiet", image.name, timeout_seconds=_PUSH_SECONDS)
    console.print(_table(base, built))


def _table(base: str, built: Mapping[str, Built]) -> Table:
    table = Table("image", f"MB on top of {base}", "MB in all", "seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for image in built.values():
        table.add_row(
            image.name,
            f"{image.own_bytes / _MEGABYTE:.0f}",
            f"{image.bytes / _MEGABYTE:.0f}",
            f"{image.seconds:.0f}",
        )
    return table


def main() -> None:
    run_command(application, failed=_FAILED)


if __name__ == "__main__":
    main()
