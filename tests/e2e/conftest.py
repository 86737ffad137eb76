"""What end-to-end tests share: a real InfluxDB as the store, or the word why there is none."""

import os

import pytest

from stack.influxdb import Influxd, InfluxdMissing, find_influxd
from stack.local import LocalStack


@pytest.fixture
def influxd(local: LocalStack) -> Influxd:
    """A real InfluxDB, set up, as the store of the test's stack."""
    try:
        find_influxd()
    except InfluxdMissing as error:
        if os.environ.get("REQUIRE_INFLUXDB"):
            raise
        pytest.skip(str(error))
    return local.start_influxdb()
