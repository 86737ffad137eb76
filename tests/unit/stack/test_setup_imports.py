"""What the image of the set-up holds is all that the set-up imports."""

import ast
from pathlib import Path

import pytest

from stack.process import ROOMS
from tests.unit.test_rooms import imported_rooms

# As stack/setup/Dockerfile copies them.
IN_THE_IMAGE = ("stack", "stack.setup")


@pytest.mark.parametrize(
    "path", sorted((ROOMS / "stack" / "setup").glob("*.py")), ids=lambda path: path.name
)
def test_the_set_up_imports_only_what_its_image_holds(path: Path) -> None:
    named = [
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    of_stack = {name for name in named if name.split(".")[0] == "stack"}

    assert imported_rooms(path) <= {"telemetry", "stack"}
    assert {name for name in of_stack if not name.startswith("stack.setup.")} <= set(IN_THE_IMAGE)
