"""What our images hold and what they do not, and that each runs with as few rights as can be."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import telemetry
from stack.images import DOCKERFILES, Built, ImageError, ImagesRequest
from stack.process import ROOMS
from stack.swarm.docker import Row
from tests.eventually import eventually
from tests.stack.engine import Engine
from tests.stack.parts import Parts

pytestmark = pytest.mark.timeout(900)

HARDENED = ("--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp", "--network", "none")
MOST_BYTES_ON_TOP = 120_000_000
_ROOM = {"setup": "stack.setup"}
_HEALTH_PORTS = {"sensors": "9102", "ingest": "9101", "api": "8080"}

service = pytest.mark.parametrize("service", DOCKERFILES)


def configuration(engine: Engine, image: Built) -> Row:
    found: Row = engine.docker.inspect(image.name, kind="image")[0]["Config"]
    return found


def run(engine: Engine, image: Built, *command: str, entrypoint: str | None = None) -> str:
    chosen = ("--entrypoint", entrypoint) if entrypoint else ()
    return engine.docker.run("run", "--rm", *HARDENED, *chosen, image.name, *command)


def shell(engine: Engine, image: Built, script: str) -> list[str]:
    return run(engine, image, "-c", script, entrypoint="/bin/sh").split()


def python(engine: Engine, image: Built, script: str) -> list[str]:
    return run(engine, image, "-c", script, entrypoint="/opt/venv/bin/python").split()


@service
def test_its_command_line_answers_with_no_rights_at_all(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    assert "Usage: python -m" in run(engine, images[service], "--help")


@service
def test_it_runs_as_a_user_that_nothing_else_has(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    assert configuration(engine, images[service])["User"] == "10001:10001"
    assert shell(engine, images[service], "id -u; id -g; id -G") == ["10001"] * 3


@service
def test_it_is_small(images: dict[str, Built], service: str) -> None:
    assert images[service].own_bytes < MOST_BYTES_ON_TOP


@service
def test_nothing_in_it_builds_or_installs(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    tools = "pip pip3 gcc cc g++ make git uv curl wget"
    found = shell(engine, images[service], f"for tool in {tools}; do command -v $tool; done; true")
    packages = python(
        engine,
        images[service],
        "import importlib.util as u\n"
        "print(*(name for name in ('pip', 'setuptools', 'wheel', 'pbr') if u.find_spec(name)))",
    )

    assert found + packages == []
    assert shell(engine, images[service], "ls /var/lib/apt/lists /opt") == [
        *("/opt:", "denyut", "venv"),
        "/var/lib/apt/lists:",
    ]


@service
def test_it_holds_the_packages_of_its_lock_and_no_others(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    lock = (ROOMS / "requirements" / f"{service}.txt").read_text()
    pinned = [Requirement(line) for line in re.findall(r"^([a-z0-9].*?) \\$", lock, re.M)]
    found = python(
        engine,
        images[service],
        "import importlib.metadata as m, re\n"
        "for d in m.distributions(path=[p for p in __import__('sys').path if 'venv' in p]):\n"
        "    print(re.sub('[-_.]+', '-', d.name.lower()) + '==' + d.version)",
    )

    wanted = {
        f"{one.name}{one.specifier}" for one in pinned if not one.marker or one.marker.evaluate()
    }
    assert set(found) == wanted


@service
def test_it_holds_its_own_rooms_compiled_and_no_others(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    room = _ROOM.get(service, service).partition(".")[0]
    rooms = shell(engine, images[service], "ls /opt/denyut")
    uncompiled = python(
        engine,
        images[service],
        "import importlib.util as u, pathlib as p\n"
        "for path in [*p.Path('/opt/denyut').rglob('*.py')]:\n"
        "    if not p.Path(u.cache_from_source(path)).exists(): print(path)",
    )

    assert set(rooms) - {"telemetry"} == {room}
    assert uncompiled == []


@service
def test_it_can_write_nowhere_but_in_its_data_folder(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    script = "find / -xdev -writable ! -type l ! -path '/proc/*' 2>/dev/null; true"

    assert set(shell(engine, images[service], script)) <= {"/data", "/tmp", "/var/tmp"}


@service
def test_it_says_what_it_is(engine: Engine, images: dict[str, Built], service: str) -> None:
    labels = configuration(engine, images[service])["Labels"]

    told = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    assert told["title"] == f"denyut/{service}"
    assert told["version"] == telemetry.__version__
    assert told["licenses"] == "MIT"
    assert len(told["description"]) > 20
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", told["revision"])


@service
def test_no_secret_is_in_its_environment_or_history(
    engine: Engine, images: dict[str, Built], service: str
) -> None:
    names = {line.partition("=")[0] for line in configuration(engine, images[service])["Env"]}
    history = engine.docker.run("history", "--no-trunc", images[service].name).lower()

    assert not [name for name in names if re.search("KEY$|TOKEN|PASSWORD|SECRET", name)]
    assert not re.search(r"(token|password|secret|fleet_key)=", history)


@pytest.mark.parametrize(("service", "port"), _HEALTH_PORTS.items())
def test_its_health_is_asked_on_the_services_own_port(
    engine: Engine, images: dict[str, Built], service: str, port: str
) -> None:
    check = configuration(engine, images[service])["Healthcheck"]["Test"]
    script = f"{' '.join(check[1:])} 2>&1; test $? = 1"

    assert check[-1] == port
    assert f"127.0.0.1:{port}/readyz:" in shell(engine, images[service], script)


def test_a_process_in_a_container_gets_no_new_privileges(
    engine: Engine, images: dict[str, Built]
) -> None:
    status = shell(engine, images["ingest"], "grep -E '^(NoNewPrivs|CapBnd)' /proc/self/status")

    assert status == ["CapBnd:", "0000000000000000", "NoNewPrivs:", "1"]


def test_a_base_that_cannot_be_had_is_one_line(engine: Engine) -> None:
    request = ImagesRequest(base="denyut-test/nowhere:1")

    with pytest.raises(ImageError, match=r"^BASE=denyut-test/nowhere:1: not here[^\n]*$"):
        engine.docker.prepare(request)


def test_a_build_that_fails_shows_its_end_and_where_the_log_is(
    engine: Engine, parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG BASE\nFROM ${BASE}\nRUN echo this is why; exit 3\n")
    monkeypatch.setitem(DOCKERFILES, "api", str(dockerfile))

    with pytest.raises(ImageError) as caught:
        engine.docker.build("api", ImagesRequest(base=parts.python, version="broken"), print)

    *_, last = str(caught.value).splitlines()
    assert "this is why" in str(caught.value)
    assert last == "api could not be built; the whole log: build/images/api.log"


def test_influxdb_runs_with_no_rights_at_all(engine: Engine, parts: Parts) -> None:
    name = engine.docker.run(
        *("run", "--detach", "--user", "1000:1000", *HARDENED, parts.influxdb),
    ).strip()

    def is_ready() -> bool:
        said = engine.docker.run("logs", name)
        return '"transport":"http"' in said or "transport=http" in said

    eventually(is_ready, deadline_seconds=30, what="influxd listening")
    engine.docker.run("rm", "--force", "--volumes", name)


def test_the_front_runs_with_no_rights_at_all(engine: Engine, parts: Parts) -> None:
    said = engine.docker.run("run", "--rm", *HARDENED, parts.front, "haproxy", "-v")

    assert said.startswith("HAProxy version 3.")
