"""What end-to-end tests share: a real InfluxDB as the store of a stack."""

import pytest

from stack.influxdb import Influxd
from stack.local import LocalStack


@pytest.fixture
def influxd(influxd_installed: None, local: LocalStack) -> Influxd:  # noqa: ARG001
    """A real InfluxDB, set up, as the store of the test's stack."""
    return local.start_influxdb()
