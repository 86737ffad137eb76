"""The commands of a page, run as they stand there, and what they print held to it.

In a block marked `console` a line that begins with `$ ` is a command of the shell, and the lines
below are what it prints: `…` stands for anything within a line, and alone on a line for any lines.
All of a page is one session: what a command leaves in a variable or a file is there for the next.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MARK = "--- denyut: the next command ---"


class Command(Struct, frozen=True):
    """A command, and what its page says that it prints."""

    text: str
    expected: str

    def is_shown_by(self, printed: str) -> bool:
        """Whether it printed what the page says."""
        return re.fullmatch(_pattern(self.expected), printed.strip("\n") + "\n") is not None


def commands(page: str) -> list[Command]:
    """Return the commands of a page."""
    found = []
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, _, expected = part.partition("\n")
            found.append(Command(text, expected.strip("\n")))
    return found


def snippets(page: str) -> list[str]:
    """Return the Python of a page."""
    return _PYTHON.findall(page)


def run(
    found: list[Command],
    *,
    folder: Path,
    environment: Mapping[str, str],
    replace: Mapping[str, str],
    timeout_seconds: float,
) -> Iterator[tuple[Command, str]]:
    """Yield each command and what it printed; `replace` names what stands in place of addresses."""
    script = "".join(f"{one.text}\nprintf '\\n%s\\n' '{_MARK}'\n" for one in found)
    for old, new in replace.items():
        script = script.replace(old, new)
    ended = subprocess.run(
        ["/bin/bash", "-u"],
        input=script,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    printed = ended.stdout.split(f"{_MARK}\n")
    yield from zip(found, [*printed, *[""] * len(found)], strict=False)


def _pattern(expected: str) -> str:
    lines = expected.split("\n")
    return "".join("(?:[^\n]*\n)*" if line == "…" else f"{_line(line)}\n" for line in lines)


def _line(line: str) -> str:
    return "[^\n]*".join(re.escape(part) for part in line.split("…"))
