"""The guide of the API is true: its commands and its Python run against a real pipeline."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from docs.consoles import commands, run, snippets
from docs.links import ROOT
from stack.local import LocalStack
from stack.services import Service
from tests.eventually import eventually

GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = sorted(path for path in (ROOT / "docs" / "examples").glob("[a-z]*.py"))
DEVICES = 12


class Pipeline(Struct, frozen=True):
    """As `make run` has it, and a second API that asks for keys of a file in `folder`."""

    api: Service
    guarded: Service
    folder: Path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("guide")
    (folder / "keys").touch()
    with LocalStack() as local:
        local.start_broker()
        local.start_ingest()
        api = local.start_api()
        keys = {"API_KEYS_FILE": str(folder / "keys")}
        guarded = local.start_api("api-2", settings=keys)
        local.start_fleet("demo", devices=DEVICES)
        path = "/v1/devices/meter-00000/readings?limit=5"
        eventually(lambda: api.get(path)[1].count('"seq"') == 5, deadline_seconds=30)
        yield Pipeline(api, guarded, folder)


def test_every_command_of_the_guide_prints_what_stands_there(pipeline: Pipeline) -> None:
    assert shutil.which("curl"), "curl is not installed: apt-get install curl"
    folder = Path(sys.executable).parent
    ran = run(
        commands(GUIDE),
        folder=pipeline.folder,
        environment={"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        replace={
            "http://127.0.0.1:8080": pipeline.api.url,
            "http://127.0.0.1:8081": pipeline.guarded.url,
        },
        timeout_seconds=90,
    )
    otherwise = [f"$ {one.text}\n{printed}" for one, printed in ran if not one.is_shown_by(printed)]
    assert otherwise == []


def test_the_python_of_the_guide_stands_in_its_examples() -> None:
    programs = [textwrap.dedent(path.read_text(encoding="utf-8")) for path in EXAMPLES]

    def flat(text: str) -> list[str]:
        return [line.strip() for line in text.strip().splitlines()]

    for snippet in snippets(GUIDE):
        wanted = "\n".join(flat(snippet))
        assert any(wanted in "\n".join(flat(program)) for program in programs), snippet


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs(pipeline: Pipeline, example: Path) -> None:
    arguments = ["5"] if example.stem == "live" else []
    ended = subprocess.run(
        [sys.executable, "-m", f"docs.examples.{example.stem}", pipeline.api.url, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "meter-0000" in ended.stdout or "period_ms" in ended.stdout
