"""The rooms: who may import whom, and how large a module may grow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# docs/decisions/0006 and 0016 say why stack may import broker, and broker telemetry.
MAY_IMPORT = {
    "telemetry": set(),
    "broker": {"telemetry"},
    "sensors": {"telemetry"},
    "ingest": {"telemetry"},
    "api": {"telemetry"},
    "stack": {"telemetry", "broker"},
    "loadtest": {"telemetry", "stack"},
    "bench": {"telemetry", "broker", "sensors", "ingest", "api", "stack", "loadtest"},
}
MOST_LINES = 400


def modules() -> Iterator[Path]:
    for room in MAY_IMPORT:
        yield from sorted((ROOT / room).rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found & set(MAY_IMPORT)


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]

    assert imported_rooms(path) <= MAY_IMPORT[room] | {room}


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_every_room_is_there() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} >= {
        "telemetry",
        "broker",
        "sensors",
        "ingest",
        "api",
        "stack",
        "loadtest",
        "bench",
    }
