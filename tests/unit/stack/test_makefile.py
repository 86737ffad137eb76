"""What `make` says to whoever forgets what a command needs."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def dry_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Let make say what it would do, with what it installs taken for installed."""
    return subprocess.run(
        ["make", "--dry-run", "--old-file", ".venv/.installed-runtime", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("scale", "SERVICE=ingest N=3"),
        ("leave", "SLOT=3"),
        ("backup", "FILE=denyut.tar"),
        ("restore", "FILE=denyut.tar"),
    ],
)
def test_what_is_not_given_is_named_with_an_example(command: str, given: str) -> None:
    forgotten = dry_run(command)

    assert forgotten.returncode == 2
    assert f"is not given: make {command} {given}" in forgotten.stderr
    assert dry_run(command, *given.split()).returncode == 0


def test_a_service_without_a_number_is_half_of_what_scaling_needs() -> None:
    assert "N is not given: make scale SERVICE=api N=3" in dry_run("scale", "SERVICE=api").stderr
