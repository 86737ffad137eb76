"""The services' images, built one after the other on one engine."""

import re
import subprocess
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

import telemetry
from stack.process import ROOMS
from stack.swarm import SwarmError
from stack.swarm.docker import Docker, DockerError

BASE = "python:3.13-slim-trixie"
LOGS = Path("build/images")
DOCKERFILES = {
    "broker": "broker/Dockerfile",
    "sensors": "sensors/Dockerfile",
    "ingest": "ingest/Dockerfile",
    "api": "api/Dockerfile",
    "setup": "stack/setup/Dockerfile",
    "loadtest": "loadtest/Dockerfile",
}
_PULL_SECONDS = 300.0
_LOG_LINES_SHOWN = 15
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# As Docker's two builders announce a step: `Step 4/19 : COPY …`, `#7 [builder 4/8] COPY …`.
_STEP = re.compile(r"^(?:Step |#\d+ \[[a-z0-9 -]*?)(\d+/\d+)\W+(.{1,60})")


class ImageError(SwarmError):
    """Raised when an image cannot be built; the text ends with where the whole log is."""


class ImagesRequest(Struct, frozen=True, kw_only=True):
    """On what the images are built, and what they are called."""

    version: str = telemetry.__version__
    base: str = BASE
    registry: str = ""

    def name(self, service: str) -> str:
        """Return the name and tag of a service's image."""
        prefix = f"{self.registry.rstrip('/')}/" if self.registry else ""
        return f"{prefix}denyut/{service}:{self.version}"


class Built(Struct, frozen=True):
    """An image that was built; the bytes are those on top of its base, and all."""

    name: str
    own_bytes: int
    bytes: int
    seconds: float


class ImageBuilder(Docker):
    """An engine that builds images from the project's folder."""

    def prepare(self, request: ImagesRequest) -> None:
        """Fetch the base; ImageError where there is no engine, no base, or no such tag."""
        if not _TAG.fullmatch(request.version):
            raise ImageError(f"VERSION={request.version!r}: letters, digits and _.- are allowed")
        try:
            self.run("version", "--format", "{{.Server.Version}}")
        except DockerError as error:
            raise ImageError(
                f"no Docker engine answers: start it, or set DOCKER_HOST ({error})"
            ) from error
        if self.exists("image", request.base):
            return
        try:
            self.run("pull", "--quiet", request.base, timeout_seconds=_PULL_SECONDS)
        except DockerError as error:
            raise ImageError(
                f"BASE={request.base}: not here, and cannot be fetched ({error})"
            ) from error

    def build(self, service: str, request: ImagesRequest, say: Callable[[str], None]) -> Built:
        """Build one image; ImageError with the end of its log where that fails."""
        began = time.monotonic()
        name = request.name(service)
        command = [
            *["docker", "build", "--file", DOCKERFILES[service], "--tag", name],
            *["--build-arg", f"BASE={request.base}"],
            *["--build-arg", f"VERSION={request.version}"],
            *["--build-arg", f"REVISION={_revision()}", "."],
        ]
        self._follow(service, command, say)
        all_bytes = self.image_bytes(name)
        own_bytes = all_bytes - self.image_bytes(request.base)
        return Built(name, own_bytes, all_bytes, time.monotonic() - began)

    def image_bytes(self, name: str) -> int:
        """Return the size of an image and all below it."""
        return int(self.inspect(name, kind="image")[0]["Size"])

    def _follow(self, service: str, command: list[str], say: Callable[[str], None]) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / f"{service}.log"
        last: deque[str] = deque(maxlen=_LOG_LINES_SHOWN)
        with (
            path.open("w", encoding="utf-8") as log,
            subprocess.Popen(  # noqa: S603
                command,
                cwd=ROOMS,
                env={**self._environment, "BUILDKIT_PROGRESS": "plain"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as building,
        ):
            assert building.stdout is not None
            try:
                for line in building.stdout:
                    log.write(line)
                    last.append(line.rstrip())
                    if step := _STEP.match(line):
                        say(f"{step[1]} {step[2].strip()}")
            except BaseException:
                building.kill()
                raise
        if building.returncode != 0:
            shown = "\n".join(line for line in last if line)
            raise ImageError(f"{shown}\n{service} could not be built; the whole log: {path}")


def build_images(
    builder: ImageBuilder,
    request: ImagesRequest,
    say: Callable[[str, str], None] = lambda _service, _step: None,
) -> dict[str, Built]:
    """Build all images and return them by service; `say` hears of each step."""
    builder.prepare(request)
    return {
        service: builder.build(service, request, partial(say, service)) for service in DOCKERFILES
    }


def _revision() -> str:
    """Return the commit from which we build; `unknown` outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOMS, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
