"""Docker's own command line: what it printed, or one line on why it failed.

The command line and not the HTTP API, because stacks exist only in it: `docker stack deploy` is
what turns a stack file into services.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from stack.swarm import SwarmError

_TIMEOUT_SECONDS = 120.0
_PIECE_BYTES = 1 << 20
# What Docker itself reads: all else of our environment, a secret above all, stays here.
_INHERITED = ("PATH", "HOME", "LANG", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "TMPDIR")
_NO_VARIABLES: Mapping[str, str] = {}

Row = dict[str, Any]


class DockerError(SwarmError):
    """Raised when the engine cannot be reached or refused a call."""


class Docker:
    """The engine that `DOCKER_HOST` or the current context names."""

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self._environment = {
            name: text
            for name, text in variables.items()
            if name in _INHERITED or name.startswith("DOCKER_")
        }

    def run(
        self,
        *arguments: str,
        stdin: str | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> str:
        """Return what a call printed; DockerError in one line where it failed."""
        done = self.call(
            *arguments, stdin=stdin, variables=variables, timeout_seconds=timeout_seconds
        )
        if done.returncode != 0:
            raise DockerError(_one_line(arguments, done.stderr))
        return done.stdout

    def call(
        self,
        *arguments: str,
        stdin: str | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Return how a call ended, whatever its exit code; DockerError where it did not end."""
        try:
            return subprocess.run(  # noqa: S603
                [_program(), *arguments],
                # Never ours: a command that reads what a person types would take it.
                input=stdin or "",
                capture_output=True,
                text=True,
                env={**self._environment, **variables},
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = f"docker {arguments[0]} did not end within {timeout_seconds:g} s"
            raise DockerError(said) from error

    def pipe(
        self, *arguments: str, head: str, source: BinaryIO | None = None, target: BinaryIO
    ) -> None:
        """Feed a call with a text and then a file, and write what it prints to another file."""
        with TemporaryFile() as said:
            with subprocess.Popen(  # noqa: S603
                [_program(), *arguments],
                stdin=subprocess.PIPE,
                stdout=target,
                stderr=said,
                env=self._environment,
            ) as process:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it has ended, and says why
                    process.stdin.write(head.encode())
                    if source is not None:
                        shutil.copyfileobj(source, process.stdin, _PIECE_BYTES)
                    process.stdin.close()
            said.seek(0)
            if process.returncode != 0:
                raise DockerError(_one_line(arguments, said.read().decode(errors="replace")))

    def rows(self, *arguments: str) -> list[Row]:
        """Return the rows of a listing."""
        printed = self.run(*arguments, "--format", "{{json .}}")
        return [json.loads(line) for line in printed.splitlines() if line.strip()]

    def inspect(self, *names: str, kind: str | None = None) -> list[Row]:
        """Return all that the engine knows of some objects; none for no names."""
        if not names:
            return []
        chosen = ("--type", kind) if kind else ()
        found: list[Row] = json.loads(self.run("inspect", *chosen, *names))
        return found

    def inspect_those_left(self, *names: str, kind: str) -> list[Row]:
        """Return what is known of those that are left, as of tasks, which come and go."""
        if not names:
            return []
        done = self.call("inspect", "--type", kind, *names)
        found: list[Row] = json.loads(done.stdout or "[]")
        return found

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object, as an image or a volume."""
        try:
            self.run(kind, "inspect", name)
        except DockerError as error:
            if "no such" in str(error).lower() or "not found" in str(error).lower():
                return False
            raise
        return True


def _program() -> str:
    found = shutil.which("docker")
    if found is None:
        raise DockerError("docker is not installed: apt-get install docker.io")
    return found


def _one_line(arguments: Sequence[str], said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = lines[-1] if lines else "it said nothing"
    named = " ".join(arguments[:2])
    return f"docker {named}: {told.removeprefix('Error response from daemon: ')}"
