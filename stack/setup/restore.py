"""A backup put into a server, beside what is there, which makes way for it at the end.

Each bucket is restored under a name of its own first. So a restore that fails changes nothing: what
it has left is taken away by the next one.

What was there gives up its name, so that nobody finds it any more, and is deleted when those who
read it have ended: InfluxDB 2.9.1 ends, or answers nobody any more, where a bucket is deleted that
a query reads.
"""

import copy
import re
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from influxdb_client import BackupService, RestoreService
from influxdb_client.rest import ApiException

from stack.setup.archive import EMPTY_SHARD_BYTES, Archive, BackedUpBucket, Shard
from stack.setup.plan import Plan
from stack.setup.server import RequestRefused, Server, SetupError

_TIMEOUT_SECONDS = 600.0
_UNFINISHED = "_restoring"
_REPLACED = "_replaced"
_TASK_SECONDS = 600.0
_LOOK_SECONDS = 0.5
_TASK_RUNS = re.compile(r"^task_executor_total_runs_active (\d+)", re.MULTILINE)


class Restore:
    """Writes one server."""

    def __init__(self, server: Server, plan: Plan, *, keep_seconds: float) -> None:
        """`keep_seconds` is how long a question to what is replaced may take."""
        self._server = server
        self._plan = plan
        self._keep_seconds = keep_seconds
        self._service = RestoreService(server.client.api_client)
        self._reading = BackupService(server.client.api_client)
        self._buckets = server.client.buckets_api()
        self._pool: urllib3.PoolManager = server.client.api_client.rest_client.pool_manager
        self._url = server.url.rstrip("/")

    def check(self, *, replace: bool) -> None:
        """Raise RequestRefused where buckets are in the way, unless they are to be replaced."""
        with self._server.errors():
            self._server.version()
            if self._server.organisation() is None:
                raise RequestRefused(f"there is no organisation {self._plan.org}: set it up first")
            for name in self._plan.buckets:
                self._take_back(name)
            there = [name for name in self._plan.buckets if self._server.bucket(name) is not None]
        if there and not replace:
            text = f"the server has {', '.join(there)} already: --replace deletes what is there"
            raise RequestRefused(text)

    def apply(self, archive: Archive) -> Iterator[str]:
        """Restore a backup in place of what is there, yielding a line for each step."""
        backed_up = {self._plan.bucket + one.suffix: one for one in archive.manifest.buckets}
        with self._server.errors():
            for name, bucket in backed_up.items():
                yield from self._upload(archive, name + _UNFINISHED, bucket)
            replaced = [name for name in backed_up if self._replace(name)]
            yield from (f"restored {name}" for name in backed_up)
            if replaced:
                yield from self._delete_unread(replaced)

    def _upload(self, archive: Archive, name: str, bucket: BackedUpBucket) -> Iterator[str]:
        self._delete(name)
        numbers = self._make(name, bucket)
        for shard in bucket.shards:
            self._send(archive, shard, numbers[shard.id])
            self._check_taken(shard, numbers[shard.id])
            yield f"{name}: {shard.size} bytes"

    def _make(self, name: str, bucket: BackedUpBucket) -> dict[int, int]:
        """Make a bucket with its empty shards; return their numbers by those in the backup."""
        metadata: dict[str, Any] = copy.deepcopy(bucket.metadata)
        metadata["organizationID"] = self._server.organisation_id()
        metadata["organizationName"] = self._plan.org
        metadata["bucketName"] = name
        made = self._service.post_restore_bucket_metadata(metadata)
        return {one.old_id: one.new_id for one in made.shard_mappings}

    def _send(self, archive: Archive, shard: Shard, number: int) -> None:
        # influxdb-client takes a body only whole; its pool takes it in pieces.
        answer = self._pool.request(
            "POST",
            f"{self._url}/api/v2/restore/shards/{number}",
            body=archive.read(shard),
            headers={
                "Authorization": f"Token {self._server.operator_token.value}",
                "Content-Type": "application/octet-stream",
                "Content-Length": str(shard.size),
            },
            timeout=_TIMEOUT_SECONDS,
            retries=False,
            redirect=False,
        )
        if answer.status >= 300:
            raise ApiException(http_resp=answer)

    def _check_taken(self, shard: Shard, number: int) -> None:
        # InfluxDB 2.9.1 answers 200 also where it could not keep what it was sent, as on a full
        # disk (Shard.Restore drops its engine's error): the shard is empty then.
        answer = self._reading.get_backup_shard_id(number, _preload_content=False)
        try:
            is_empty = len(answer.read(EMPTY_SHARD_BYTES + 1)) <= EMPTY_SHARD_BYTES
        finally:
            answer.close()
        if is_empty and shard.size > EMPTY_SHARD_BYTES:
            text = f"took shard {number} and has stored nothing of it: is its disk full?"
            raise SetupError(f"{self._server.url} {text} Its log says why")

    def _replace(self, name: str) -> bool:
        """Give a name to what was restored; True where another bucket had it."""
        restored = self._server.bucket(name + _UNFINISHED)
        if restored is None:
            raise SetupError(f"{name}{_UNFINISHED} is gone: is another restore running?")
        self._delete(name + _REPLACED)
        there = self._server.bucket(name)
        if there is not None:
            self._rename(there, name + _REPLACED)
        self._rename(restored, name)
        return there is not None

    def _take_back(self, name: str) -> None:
        """Give a bucket its name again, where a restore ended after it had given it up."""
        replaced = self._server.bucket(name + _REPLACED)
        if replaced is not None and self._server.bucket(name) is None:
            self._rename(replaced, name)

    def _rename(self, bucket: Any, name: str) -> None:
        bucket.name = name
        self._buckets.update_bucket(bucket)

    def _delete_unread(self, replaced: list[str]) -> Iterator[str]:
        if self._keep_seconds:
            yield f"in {self._keep_seconds:g} s what was there is deleted: somebody may read it yet"
            time.sleep(self._keep_seconds)
        deadline_s = time.monotonic() + _TASK_SECONDS
        while self._task_runs():
            if time.monotonic() > deadline_s:
                left = ", ".join(name + _REPLACED for name in replaced)
                yield f"{left}: tasks have run for {_TASK_SECONDS:g} s; the next restore deletes it"
                return
            time.sleep(_LOOK_SECONDS)
        for name in replaced:
            self._delete(name + _REPLACED)

    def _task_runs(self) -> bool:
        metrics = self._pool.request("GET", f"{self._url}/metrics")
        found = _TASK_RUNS.search(metrics.data.decode())
        return found is not None and int(found[1]) > 0

    def _delete(self, name: str) -> None:
        found = self._server.bucket(name)
        if found is not None:
            self._buckets.delete_bucket(found)
