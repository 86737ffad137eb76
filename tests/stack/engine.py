"""A Docker engine for tests: one of their own whose images are kept, or one that runs already.

STACK_ENGINE says which: unset, their own in the cache folder; a path, their own there; `running`,
the one that DOCKER_HOST or the current context names.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stack import StackError
from stack.images import ImageBuilder
from stack.process import ROOMS, Process
from stack.swarm.docker import DockerError

SWARM_ADDRESSES = ("--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
_RUNNING = "running"
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_INSTALL_SECONDS = 600.0
_COMMAND_SECONDS = 30.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Every engine makes these two, whatever else it is told.
_BRIDGES = ("docker0", "docker_gwbridge")
_LINKS = Path("/sys/class/net")
_NOBODY = "http://127.0.0.1:9"

Say = Callable[[str], None]


class EngineError(StackError):
    """Raised when no engine can be had, or one leaves something behind."""


class Engine:
    """An engine in a Swarm of its own; `docker` asks it, `variables` make other commands ask it."""

    def __init__(self, docker: ImageBuilder, variables: dict[str, str]) -> None:
        self.docker = docker
        self.variables = variables

    @property
    def is_in_swarm(self) -> bool:
        """Whether the engine is part of a Swarm."""
        return self.docker.run("info", "--format", "{{.Swarm.LocalNodeState}}").strip() == "active"

    def join_swarm(self) -> None:
        """Make a Swarm of this engine alone, which nobody else can join."""
        self.docker.run("swarm", "init", *SWARM_ADDRESSES)

    def leave_swarm(self) -> None:
        """End the Swarm and with it its services, networks, secrets and configs."""
        self.docker.run("swarm", "leave", "--force")

    def empty(self) -> None:
        """Remove all containers, volumes and networks; images stay."""
        containers = self.docker.run("ps", "--all", "--quiet").split()
        if containers:
            self.docker.run("rm", "--force", "--volumes", *containers)
        volumes = self.docker.run("volume", "ls", "--quiet").split()
        if volumes:
            self.docker.run("volume", "rm", "--force", *volumes)
        self.docker.run("network", "prune", "--force")


class Dockerd(Process):
    """Docker's engine with a folder of its own, as Debian's package has it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.folder = folder
        host = f"unix://{folder / 'docker.sock'}"
        configuration = {
            "data-root": str(folder / "data"),
            "exec-root": str(folder / "run"),
            "pidfile": str(folder / "dockerd.pid"),
            "hosts": [host],
            "mtu": _mtu(),
            "no-new-privileges": True,
        }
        path = folder / "daemon.json"
        path.write_text(json.dumps(configuration), encoding="utf-8")
        log = folder / "dockerd.log"
        log.unlink(missing_ok=True)
        super().__init__(
            "dockerd",
            ["dockerd", "--config-file", str(path)],
            environment={**os.environ, "PATH": _PATH, **_without_a_hub()},
            log_path=log,
        )
        self.variables = {**os.environ, "DOCKER_HOST": host}
        self.docker = ImageBuilder(self.variables)

    def lacks(self) -> str | None:
        """Return None when the engine answers."""
        if not (self.folder / "docker.sock").exists():
            return "it does not listen yet"
        try:
            self.docker.run("version")
        except DockerError as error:
            return str(error)
        return None

    def forget_swarm(self) -> None:
        """Remove what a killed engine kept of its Swarm, which it would bring back."""
        for name in ("swarm", "network"):
            shutil.rmtree(self.folder / "data" / name, ignore_errors=True)

    def unmount(self) -> None:
        """Undo the mounts that a killed engine left behind."""
        for mount in reversed(_mounts(self.folder)):
            _try("umount", "--lazy", mount)


@contextmanager
def start_engine(say: Say = print) -> Iterator[Engine]:
    """Yield an engine in a Swarm; at the end all that was made for it is gone, but its images."""
    chosen = os.environ.get("STACK_ENGINE", "")
    if chosen == _RUNNING:
        with _swarm(Engine(ImageBuilder(), dict(os.environ))) as engine:
            yield engine
        return
    if os.geteuid() != 0:
        raise EngineError("an engine is started by root only: or set STACK_ENGINE=running")
    _install()
    folder = Path(chosen).resolve() if chosen else _cache() / "denyut" / "engine"
    with _alone(say), _network_as_before(), _dockerd(folder, say) as dockerd:
        engine = Engine(dockerd.docker, dockerd.variables)
        engine.empty()
        with _swarm(engine):
            yield engine
        engine.empty()


@contextmanager
def _swarm(engine: Engine) -> Iterator[Engine]:
    if engine.is_in_swarm:
        yield engine
        return
    engine.join_swarm()
    try:
        yield engine
    finally:
        engine.leave_swarm()


@contextmanager
def _dockerd(folder: Path, say: Say) -> Iterator[Dockerd]:
    dockerd = Dockerd(folder)
    dockerd.unmount()
    dockerd.forget_swarm()
    say(f"starting a Docker engine in {folder}")
    try:
        dockerd.start(ready_seconds=_START_SECONDS)
        yield dockerd
    finally:
        dockerd.stop(_STOP_SECONDS)
        dockerd.unmount()
    left = _mounts(folder)
    if left:
        raise EngineError(f"still mounted: {', '.join(left)}")


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    """Wait for others' engines: a machine has the ports of one Swarm."""
    path = Path(tempfile.gettempdir(), "denyut-engine.lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another engine of tests to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _network_as_before() -> Iterator[None]:
    """Take bridges and packet filter rules away again, which an engine leaves when it ends."""
    before = [name for name in _BRIDGES if (_LINKS / name).exists()]
    rules = _ask("iptables-save")
    try:
        yield
    finally:
        for name in _BRIDGES:
            if name not in before:
                _try("ip", "link", "delete", name)
        _ask("iptables-restore", stdin=rules)


def _install() -> None:
    command = [str(ROOMS / "stack" / "install.sh"), "docker"]
    done = subprocess.run(command, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode != 0:
        raise EngineError("what an engine needs is not here")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve()


def _without_a_hub() -> dict[str, str]:
    """Return what lets an engine give up at once where no hub answers.

    A task that starts asks the hub for its image, be it here or not, and waits for an answer.
    """
    reach = "import socket; socket.create_connection(('registry-1.docker.io', 443), 4)"
    with suppress(subprocess.TimeoutExpired):
        asked = [sys.executable, "-c", reach]
        if subprocess.run(asked, timeout=5, capture_output=True, check=False).returncode == 0:
            return {}
    if any(name.upper() == "HTTPS_PROXY" for name in os.environ):
        return {}
    return {"HTTPS_PROXY": _NOBODY, "HTTP_PROXY": _NOBODY}


def _mtu() -> int:
    """Return the largest packet that all our links take: an engine's own is always 1500."""
    sizes = [int(path.read_text()) for path in _LINKS.glob("e*/mtu")]
    return min([1500, *sizes])


def _mounts(folder: Path) -> list[str]:
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(f"{folder}/")]


def _ask(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        env={**os.environ, "PATH": _PATH},
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _try(*command: str) -> None:
    with suppress(EngineError, OSError):
        _ask(*command)
