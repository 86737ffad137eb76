"""The guide on building with Docker is true: its steps before the images are run."""

import os
import shutil
from collections.abc import Iterator

import pytest

from docs.consoles import Command, blocks, commands, run
from docs.links import ROOT
from stack.local import HOST, LocalStack
from stack.ports import reserve_port
from tests.fleets import VOID

GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
PORTS = ("8883", "1883", "9101", "9102", "8080")
EXCERPTS = {"dockerfile": "ingest/Dockerfile", "yaml": "stack/stack.yml"}


@pytest.fixture
def elsewhere() -> Iterator[dict[str, str]]:
    """What stands in place of the page's folder and ports, so that others' are left alone."""
    # A stack's folder, since as root Mosquitto becomes another user, who has to pass through.
    with LocalStack() as local:
        ports = {port: reserve_port(HOST) for port in PORTS}
        found = {port: str(reserved.port) for port, reserved in ports.items()}
        yield {"/tmp/denyut-guide": str(local.folder / "guide"), **found}
        for reserved in ports.values():
            reserved.release()


def test_every_step_of_the_guide_prints_what_stands_there(elsewhere: dict[str, str]) -> None:
    assert shutil.which("curl"), "curl is not installed: apt-get install curl"

    def run_in_order(found: list[Command]) -> list[tuple[Command, str]]:
        ran = run(
            found,
            folder=ROOT,
            environment={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            replace=elsewhere,
            timeout_seconds=110,
        )
        return list(ran)

    ran = run_in_order(commands(GUIDE))
    again = run_in_order([one for one, printed in ran if VOID in printed])
    ran = [(one, printed) for one, printed in ran if VOID not in printed] + again
    otherwise = [f"$ {one.text}\n{printed}" for one, printed in ran if not one.is_shown_by(printed)]
    assert otherwise == []


@pytest.mark.parametrize("kind", EXCERPTS)
def test_what_the_guide_shows_of_a_file_stands_in_it(kind: str) -> None:
    whole = iter((ROOT / EXCERPTS[kind]).read_text(encoding="utf-8").splitlines())
    shown = [text for mark, text in blocks(GUIDE) if mark == kind]
    assert shown
    missing = [line for line in shown[0].splitlines() if line not in whole]
    assert missing == []


def test_there_is_no_command_that_no_test_runs() -> None:
    marks = {mark for mark, _text in blocks(GUIDE)} - {""}
    assert marks == {"console", "console swarm", *EXCERPTS}
    assert not [text for mark, text in blocks(GUIDE) if not mark and "─" not in text]
