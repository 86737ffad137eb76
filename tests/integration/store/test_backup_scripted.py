"""What a healthy InfluxDB hardly ever says to a backup, from a server that does as it is told."""

import http.server
import io
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from stack.setup import backup as backups
from stack.setup.archive import Archive
from stack.setup.backup import Backup
from stack.setup.plan import Plan
from stack.setup.server import BackupDamaged, Server, SetupError
from telemetry.settings import Secret

SHARD = b"a tar of files" + bytes(1024)
NO_FILES = bytes(1024)


class ScriptedInflux(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shards = {1: SHARD, 2: SHARD}
        self.listed = [1, 2]
        self.listed_later = [1, 2]
        self.boundary_at_end = True
        self.flushes = 0

    def metadata(self) -> bytes:
        """Buckets as /api/v2/backup/metadata lists them, behind two parts that nobody wants."""
        listed, self.listed = self.listed, self.listed_later
        groups = [
            {"id": number, "startTime": "a", "endTime": "b", "shards": [{"id": number}]}
            for number in listed
        ]
        buckets = [
            {
                "organizationName": org,
                "bucketName": name,
                "retentionPolicies": [{"shardGroups": groups if name == "telemetry" else []}],
            }
            for org in ("another", "denyut")
            for name in Plan().buckets
        ]
        parts = {"kv": b'name="buckets"\r\n\r\n' * 100_000, "sql": b"", "buckets": encoded(buckets)}
        body = b"".join(
            f'\r\n--limit\r\nContent-Disposition: attachment; name="{name}"\r\n\r\n'.encode() + part
            for name, part in parts.items()
        )
        return body + b"\r\n--limit--\r\n" if self.boundary_at_end else body[:-10]


class Handler(http.server.BaseHTTPRequestHandler):
    server: ScriptedInflux

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/api/v2/backup/metadata":
            self._answer(200, self.server.metadata())
        elif path == "/ping":
            self._answer(204, b"")
        elif "since=" in query:
            self.server.flushes += 1
            self._shard(int(path.rpartition("/")[2]), NO_FILES)
        else:
            number = int(path.rpartition("/")[2])
            self._shard(number, self.server.shards.get(number, b""))

    def _shard(self, number: int, data: bytes) -> None:
        if number in self.server.shards:
            self._answer(200, data)
        else:
            self._answer(404, encoded({"message": f"shard {number} not found"}))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("X-Influxdb-Version", "v2.9.1")
        self.send_header("Content-Type", "multipart/mixed; boundary=limit")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[ScriptedInflux]:
    server = ScriptedInflux()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def encoded(told: Any) -> bytes:
    return msgspec.json.encode(told)


def backed_up(scripted: ScriptedInflux) -> Archive:
    plan = Plan()
    server = Server(f"http://127.0.0.1:{scripted.server_port}", Secret("token"), plan.org)
    out = io.BytesIO()
    try:
        for _step in Backup(server, plan).write(out):
            pass
    finally:
        server.close()
    return Archive(io.BytesIO(out.getvalue()))


def numbers(archive: Archive) -> list[int]:
    return [shard.id for bucket in archive.manifest.buckets for shard in bucket.shards]


def test_each_shard_writes_its_cache_to_files_first(scripted: ScriptedInflux) -> None:
    archive = backed_up(scripted)

    assert numbers(archive) == [1, 2]
    assert scripted.flushes == 2


def test_a_server_that_is_too_busy_to_write_its_cache_makes_no_backup(
    scripted: ScriptedInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_FLUSHED_WITHIN_SECONDS", 0.0)

    with pytest.raises(SetupError, match="is too busy to write shard 1 to its files"):
        backed_up(scripted)
    assert scripted.flushes == 10


def test_a_shard_whose_retention_ends_meanwhile_is_left_out(scripted: ScriptedInflux) -> None:
    del scripted.shards[1]
    scripted.listed_later = [2]

    archive = backed_up(scripted)

    assert numbers(archive) == [2]
    (policy,) = archive.manifest.buckets[0].metadata["retentionPolicies"]
    assert [group["id"] for group in policy["shardGroups"]] == [2]


def test_a_shard_that_is_listed_and_not_there_makes_no_backup(scripted: ScriptedInflux) -> None:
    del scripted.shards[1]

    with pytest.raises(SetupError, match="404: shard 1 not found"):
        backed_up(scripted)


def test_a_shard_that_was_cut_short_makes_no_backup(scripted: ScriptedInflux) -> None:
    scripted.shards[2] = SHARD + b'{"message": "an internal error"}'

    with pytest.raises(BackupDamaged, match="InfluxDB ended shard 2 early"):
        backed_up(scripted)


def test_a_list_of_buckets_that_was_cut_short_makes_no_backup(scripted: ScriptedInflux) -> None:
    scripted.boundary_at_end = False

    with pytest.raises(SetupError, match="list of buckets was cut short"):
        backed_up(scripted)
