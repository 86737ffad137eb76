"""One engine for all tests of the stack, with our images and those of the parts beside them."""

from collections.abc import Iterator

import pytest

from stack.images import Built, ImagesRequest, build_images
from tests.stack.engine import Engine, start_engine
from tests.stack.parts import Parts, prepare_parts


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with start_engine() as started:
        yield started


@pytest.fixture(scope="session")
def parts(engine: Engine) -> Parts:
    return prepare_parts(engine.docker)


@pytest.fixture(scope="session")
def images(engine: Engine, parts: Parts) -> dict[str, Built]:
    """Our images by service."""
    return build_images(engine.docker, ImagesRequest(base=parts.python))
