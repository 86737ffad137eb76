"""The page of payloads is true: each of its examples becomes what stands below it."""

import os
import sys
from pathlib import Path

from docs.consoles import commands, run
from docs.links import ROOT

PAGE = (ROOT / "docs" / "payloads.md").read_text(encoding="utf-8")
SAMPLES = ROOT / "docs" / "examples" / "payloads"


def test_every_payload_of_the_page_becomes_what_stands_there() -> None:
    python = Path(sys.executable).parent
    ran = list(
        run(
            commands(PAGE),
            folder=SAMPLES,
            environment={"PATH": f"{python}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
            replace={},
            timeout_seconds=60,
        )
    )
    assert [(one.text, printed) for one, printed in ran if not one.is_shown_by(printed)] == []


def test_every_sample_is_on_the_page() -> None:
    assert [path.name for path in SAMPLES.iterdir() if path.name not in PAGE] == []
