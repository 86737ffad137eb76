"""The commands of a page, run as they stand there, and what they print held to it.

In a block marked `console` a line that begins with `$ ` is a command of the shell, and the lines
below are what it prints: `…` stands for anything within a line, and alone on a line for any lines.
All of a page is one session: what a command leaves in a variable or a file is there for the next.
A block marked `console swarm` belongs to another session, one with a Docker engine.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MARK = "--- denyut: the next command ---"


class Command(Struct, frozen=True):
    """A command, and what its page says that it prints."""

    text: str
    expected: str

    def is_shown_by(self, printed: str) -> bool:
        """Whether it printed what the page says."""
        return re.fullmatch(_pattern(self.expected), printed.strip("\n") + "\n") is not None


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the marks and the texts of a page's blocks."""
    return _BLOCK.findall(page)


def commands(page: str, mark: str = "console") -> list[Command]:
    """Return the commands of a page that stand in blocks of this mark."""
    found = []
    for block in _marked(page, mark):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, _, expected = part.partition("\n")
            found.append(Command(text, expected.strip("\n")))
    return found


def snippets(page: str) -> list[str]:
    """Return the Python of a page."""
    return _marked(page, "python")


def run(
    found: list[Command],
    *,
    folder: Path,
    environment: Mapping[str, str],
    replace: Mapping[str, str],
    timeout_seconds: float,
) -> Iterator[tuple[Command, str]]:
    """Yield each command and what it printed; `replace` names what stands in place of addresses.

    What is printed until the time is over is yielded as well; what was left running then ends.
    """
    script = "".join(f"{one.text}\nprintf '\\n%s\\n' '{_MARK}'\n" for one in found)
    printed = _session(_replaced(script, replace), folder, environment, timeout_seconds)
    parts = printed.split(f"{_MARK}\n")
    yield from zip(found, [*parts, *[""] * len(found)], strict=False)


def _session(
    script: str, folder: Path, environment: Mapping[str, str], timeout_seconds: float
) -> str:
    shell = subprocess.Popen(
        ["/bin/bash", "-u"],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return shell.communicate(script, timeout_seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        return shell.communicate()[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)


def _replaced(script: str, replace: Mapping[str, str]) -> str:
    """Replace all at once: what was put in is not looked at again."""
    if not replace:
        return script
    old = re.compile("|".join(re.escape(one) for one in replace))
    return old.sub(lambda found: replace[found[0]], script)


def _marked(page: str, mark: str) -> list[str]:
    return [text for found, text in blocks(page) if found == mark]


def _pattern(expected: str) -> str:
    lines = expected.split("\n")
    return "".join("(?:[^\n]*\n)*" if line == "…" else f"{_line(line)}\n" for line in lines)


def _line(line: str) -> str:
    return "[^\n]*".join(re.escape(part) for part in line.split("…"))
