"""Telegraf as the peer of ingest: found, and told to carry the same readings to the same store.

It is told what serves it best: batches and a window as large as ingest's, no compression on one
machine, no tag for the topic, and the cheapest of its JSON parser's ways to read our payloads.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.asking import write_token
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack
from stack.process import Process
from stack.setup.plan import Plan
from telemetry.private_files import write_private

VERSION = "1.39.3"
_CONNECTED = "[inputs.mqtt_consumer] Connected ["
_CONFIGURATION = """\
[agent]
  metric_batch_size = {batch}
  metric_buffer_limit = {buffer}
  flush_interval = "{flush_ms}ms"
  flush_jitter = "0s"
  omit_hostname = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://{host}:{port}"]
  topics = ["telemetry/+/+/+"]
  topic_tag = ""
  qos = {qos}
  persistent_session = {persistent}
  client_id = "telegraf"
  username = "{user}"
  password = "{password}"
  max_undelivered_messages = {window}
  data_format = "json_v2"

  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "telemetry/+/+/+"
    measurement = "_/_/_/measurement"
    tags = "_/site/device/_"

  [[inputs.mqtt_consumer.json_v2]]
    [[inputs.mqtt_consumer.json_v2.object]]
      path = "@this"
      timestamp_key = "ts"
      timestamp_format = "unix_ms"
      disable_prepend_keys = true
      [inputs.mqtt_consumer.json_v2.object.fields]
        boot = "int"
        seq = "int"

[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
  content_encoding = "identity"
"""

_BATCH, _WINDOW, _BUFFER = 5_000, 20_000, 100_000
_USER = "ingest"


class TelegrafMissing(StackError):
    """Raised when no Telegraf is installed or built."""


def find_telegraf() -> Path:
    """Return the path of Telegraf: on PATH, else where `make tools-bench` puts it."""
    on_path = shutil.which("telegraf")
    if on_path is not None and version_of(on_path).startswith("1."):
        return Path(on_path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache / "denyut" / "tools" / f"telegraf-{VERSION}" / "telegraf"
    if not os.access(built, os.X_OK):
        text = "Telegraf is not here: make tools-bench (builds it), or put a Telegraf 1.x on PATH"
        raise TelegrafMissing(text)
    return built


def version_of(path: str | Path) -> str:
    """Return what a program says of itself, as 1.39.3; empty where it is no Telegraf."""
    try:
        asked = subprocess.run(  # noqa: S603
            [path, "version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.match(r"Telegraf v?([0-9]\S*)", asked.stdout)
    return found[1] if found else ""


class Telegraf(Process):
    """A Telegraf that reads from a stack's broker and writes to its InfluxDB.

    At QoS 1 with a persistent session: it then acknowledges what is written, as ingest does.
    """

    def __init__(
        self, local: LocalStack, broker: Broker, store_url: str, *, qos: int, flush_ms: int
    ) -> None:
        plan = Plan()
        configuration = _CONFIGURATION.format(
            batch=_BATCH,
            buffer=_BUFFER,
            window=_WINDOW,
            flush_ms=flush_ms,
            host=broker.host,
            port=broker.port,
            user=_USER,
            password=broker.password(_USER),
            qos=qos,
            persistent="true" if qos else "false",
            url=store_url,
            token=write_token(local),
            org=plan.org,
            bucket=plan.bucket,
        )
        path = write_private(local.folder / "telegraf.conf", configuration)
        super().__init__(
            "telegraf",
            [str(find_telegraf()), "--config", str(path)],
            environment={},
            log_path=local.logs / "telegraf.log",
        )

    def lacks(self) -> str | None:
        """Return None once it says that it is connected to the broker."""
        return None if _CONNECTED in self.log_tail() else "it is not connected to the broker"
