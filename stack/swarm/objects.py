"""Swarm's secrets and configs: named by their content, made where missing, pruned when unused."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from stack.swarm.docker import Docker, DockerError

Kind = Literal["secret", "config"]
_LABEL = "org.denyut.stack"
_HASH_DIGITS = 12


class Objects:
    """The secrets and configs of one stack; Swarm cannot change one, so a new text is a new one."""

    def __init__(self, docker: Docker, stack: str) -> None:
        self._docker = docker
        self._stack = stack
        self._wanted: dict[Kind, set[str]] = {"secret": set(), "config": set()}

    def put(self, kind: Kind, contents: Mapping[str, str]) -> dict[str, str]:
        """Make what is missing; return the stack file's variables, as `FLEET_KEY_SECRET`."""
        there = self._names(kind)
        variables: dict[str, str] = {}
        for name, text in contents.items():
            named = f"{self._stack}-{name}-{_hash(text)}"
            if named not in there:
                self._docker.run(
                    kind, "create", "--label", f"{_LABEL}={self._stack}", named, "-", stdin=text
                )
            self._wanted[kind].add(named)
            variables[f"{name}_{kind}".upper().replace("-", "_")] = named
        return variables

    def prune(self) -> int:
        """Remove what no service needs any more, and return how many that were."""
        removed = 0
        for kind, wanted in self._wanted.items():
            removed += sum(self._remove(kind, name) for name in self._names(kind) - wanted)
        return removed

    def remove_all(self) -> None:
        """Remove every secret and config of the stack."""
        self._wanted = {"secret": set(), "config": set()}
        self.prune()

    def _names(self, kind: Kind) -> set[str]:
        rows = self._docker.rows(kind, "ls", "--filter", f"label={_LABEL}={self._stack}")
        return {row["Name"] for row in rows}

    def _remove(self, kind: Kind, name: str) -> bool:
        try:
            self._docker.run(kind, "rm", name)
        except DockerError:
            return False  # a task of the update before still has it: the next deployment prunes it
        return True


def _hash(text: str) -> str:
    # Every secret is 256 random bits or holds as many: its hash tells nothing of it.
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
