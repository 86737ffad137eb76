"""A container's health check, against the health server of a service."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stack.ports import reserve_port
from telemetry import healthcheck
from telemetry.health import listen
from telemetry.healthserver import serve_health


class Checked:
    """A service whose dependency can go away, and what its health check says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lacks: str | None = None
        self.port = 0

    async def check(self) -> tuple[int | None, str]:
        """Run the check as the container's engine does; return its exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-I", "-S", healthcheck.__file__, str(self.port)],
            env={**os.environ, "TMPDIR": str(self.folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Checked]:
    async with _serving(Checked(tmp_path)) as checked:
        yield checked


@asynccontextmanager
async def _serving(checked: Checked) -> AsyncIterator[Checked]:
    checks = {"store": lambda: checked.lacks}
    async with serve_health(
        "ingest", listen("127.0.0.1", checked.port), checks=checks, samples=list
    ) as checked.port:
        yield checked


async def test_a_service_that_was_never_ready_is_not_healthy(service: Checked) -> None:
    service.lacks = "InfluxDB does not answer"

    code, output = await service.check()

    assert code == 1
    assert output.startswith("/readyz says 503: ")
    assert "InfluxDB does not answer" in output
    assert output.count("\n") == 1


async def test_a_service_becomes_healthy_when_it_is_ready(service: Checked) -> None:
    service.lacks = "InfluxDB does not answer"
    await service.check()
    service.lacks = None

    assert await service.check() == (0, "/readyz says 200\n")


async def test_a_service_stays_healthy_while_a_dependency_is_away(service: Checked) -> None:
    await service.check()
    service.lacks = "InfluxDB does not answer"

    assert await service.check() == (0, "/healthz says 200\n")


async def test_a_service_that_was_ready_is_not_healthy_once_it_is_gone(tmp_path: Path) -> None:
    checked = Checked(tmp_path)
    async with _serving(checked):
        await checked.check()

    code, output = await checked.check()

    assert code == 1
    assert output == f"127.0.0.1:{checked.port}/healthz: [Errno 111] Connection refused\n"


async def test_a_service_in_another_container_begins_anew(service: Checked, tmp_path: Path) -> None:
    await service.check()
    service.lacks = "InfluxDB does not answer"
    service.folder = tmp_path / "another"
    service.folder.mkdir()

    assert (await service.check())[0] == 1


async def test_a_folder_that_cannot_be_written_does_not_make_a_service_unhealthy(
    service: Checked,
) -> None:
    service.folder = Path("/proc")

    code, output = await service.check()

    assert code == 0
    assert output.endswith("; /readyz says 200\n")


async def test_what_answers_but_not_in_http_is_not_healthy(tmp_path: Path) -> None:
    checked = Checked(tmp_path)
    checked.port = reserve_port().port

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", checked.port):
        code, output = await checked.check()

    assert code == 1
    assert output.startswith(f"127.0.0.1:{checked.port}/readyz: ")


async def test_a_service_that_accepts_but_does_not_answer_is_not_healthy(tmp_path: Path) -> None:
    checked = Checked(tmp_path)
    checked.port = reserve_port().port
    connected: list[asyncio.StreamWriter] = []

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    async with await asyncio.start_server(stay_silent, "127.0.0.1", checked.port):
        code, output = await checked.check()
        connected[0].close()

    assert (code, output) == (1, f"127.0.0.1:{checked.port}/readyz: timed out\n")


def test_it_has_only_light_imports() -> None:
    lines = Path(healthcheck.__file__).read_text().splitlines()

    assert [line for line in lines if line.startswith(("import", "from"))] == [
        "import os",
        "import socket",
        "import sys",
    ]
