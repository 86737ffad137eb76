"""Containers for one task: on the data network, hardened, with secrets by standard input alone.

Nothing of them is kept: no log driver, no volume that is not asked for, no container.
"""

from collections.abc import Sequence

from stack.swarm.docker import Docker
from stack.swarm.settings import DeploySettings

_SECONDS = 600.0
_TMP = "/tmp:size=256m,mode=1777"  # noqa: S108


class OneOff:
    """Runs commands of our images beside the services of a stack."""

    def __init__(self, docker: Docker, settings: DeploySettings) -> None:
        self._docker = docker
        self._settings = settings

    def run(
        self,
        room: str,
        *arguments: str,
        stdin: str = "",
        volumes: Sequence[str] = (),
        variables: Sequence[str] = (),
        entry: Sequence[str] = (),
    ) -> str:
        """Return what a command prints; DockerError with its last line where it fails."""
        command = self.command(room, *arguments, volumes=volumes, variables=variables, entry=entry)
        return self._docker.run(*command, stdin=stdin, timeout_seconds=_SECONDS)

    def command(
        self,
        room: str,
        *arguments: str,
        volumes: Sequence[str] = (),
        variables: Sequence[str] = (),
        entry: Sequence[str] = (),
    ) -> list[str]:
        """Return Docker's arguments for a command of a room's image."""
        mounts = [part for volume in volumes for part in ("--volume", volume)]
        told = [part for variable in variables for part in ("--env", variable)]
        program = ["--entrypoint", entry[0]] if entry else []
        return [
            "run", "--rm", "--interactive", "--log-driver", "none", "--read-only",
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "10001:10001",
            "--pids-limit", "128", "--memory", "512m",
            "--tmpfs", _TMP, "--network", f"{self._settings.stack}_data", *mounts, *told,
            *program, self._settings.image(room), *entry[1:], *arguments,
        ]  # fmt: skip
