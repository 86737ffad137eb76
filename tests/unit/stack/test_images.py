import pytest

import telemetry
from stack.images import DOCKERFILES, ImageBuilder, ImageError, ImagesRequest
from stack.process import ROOMS


def test_an_image_is_tagged_with_the_version() -> None:
    assert ImagesRequest().name("ingest") == f"denyut/ingest:{telemetry.__version__}"


@pytest.mark.parametrize("registry", ["registry.example:5000", "registry.example:5000/"])
def test_an_image_is_named_by_its_registry(registry: str) -> None:
    request = ImagesRequest(version="7", registry=registry)

    assert request.name("api") == "registry.example:5000/denyut/api:7"


@pytest.mark.parametrize("version", ["", "-1", "a b", "1:2", "x" * 129])
def test_what_cannot_be_a_tag_is_refused_before_anything_is_built(version: str) -> None:
    with pytest.raises(ImageError, match="VERSION="):
        ImageBuilder().prepare(ImagesRequest(version=version))


def test_without_an_engine_one_line_says_what_to_do() -> None:
    builder = ImageBuilder({"DOCKER_HOST": "unix:///nowhere/docker.sock", "PATH": "/usr/bin:/bin"})

    with pytest.raises(ImageError, match=r"^no Docker engine answers: start it[^\n]*$"):
        builder.prepare(ImagesRequest())


@pytest.mark.parametrize("service", [name for name in DOCKERFILES if name != "broker"])
def test_the_dockerfiles_differ_only_in_what_they_must(service: str) -> None:
    """What is right for one image is right for all: they are kept alike by hand."""

    def steps(name: str) -> list[str]:
        lines = (ROOMS / DOCKERFILES[name]).read_text().splitlines()
        own = ("#", "COPY", "HEALTHCHECK", "    CMD", "ENTRYPOINT", "CMD", "LABEL", "      org.")
        return [line for line in lines if not line.startswith(own)]

    assert steps(service) == steps("sensors")
