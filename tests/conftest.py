"""What all tests share: a stack of real parts, and a real Mosquitto in it.

A missing Mosquitto fails the tests that ask for it: nothing is skipped for want of a server.
"""

from collections.abc import Iterator

import pytest

from stack.broker import Broker
from stack.local import LocalStack


@pytest.fixture
def local() -> Iterator[LocalStack]:
    """A stack without parts yet; what the test starts is stopped at its end."""
    with LocalStack() as stack:
        yield stack
        # Pytest shows this where the test failed.
        for process in stack.processes:
            print(f"--- {process.name}\n{process.log_tail()}")


@pytest.fixture
def broker(local: LocalStack) -> Broker:
    """A Mosquitto of the test's own, with our access rules; `admit` lets devices in."""
    return local.start_broker()
