"""What all tests share: a stack of real parts, and a real Mosquitto in it.

A missing Mosquitto fails the tests that ask for it. A missing influxd skips those that ask for it,
and fails them where REQUIRE_INFLUXDB is set, as in continuous integration.
"""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from stack.broker import Broker
from stack.influxdb import InfluxdMissing, find_influxd
from stack.local import LocalStack
from stack.postgresql import Postgresql

# How long an example takes depends on who shares the machine, and is no behaviour.
hypothesis.settings.register_profile("denyut", deadline=None)
hypothesis.settings.load_profile("denyut")


@pytest.fixture(scope="session")
def influxd_installed() -> None:
    """Ask for a real InfluxDB on this machine."""
    try:
        find_influxd()
    except InfluxdMissing as error:
        if os.environ.get("REQUIRE_INFLUXDB"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def local() -> Iterator[LocalStack]:
    """A stack without parts yet; what the test starts is ended with it."""
    with LocalStack() as stack:
        yield stack
        # Pytest shows this where the test failed.
        for process in stack.processes:
            print(f"--- {process.name}\n{process.log_tail()}")
        # Whoever tests how a part stops has stopped it; a server of PostgreSQL leaves shared memory
        # behind where it is killed.
        for process in reversed(stack.processes):
            if not isinstance(process, Postgresql):
                process.kill()


@pytest.fixture
def broker(local: LocalStack) -> Broker:
    """A Mosquitto of the test's own, with our access rules; `admit` lets devices in."""
    return local.start_broker()
